"""Reproduction: what experiments are to score, what they scored, and how far apart that is."""
