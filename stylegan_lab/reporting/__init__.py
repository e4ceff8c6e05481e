"""Comparison of runs: settings, scores and cost, read from the run folders."""
