"""Baselines: the scores an experiment should reach, recorded results, and whether they were reproduced."""
