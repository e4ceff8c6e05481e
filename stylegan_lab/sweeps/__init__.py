"""Sweeps run many trials of one experiment, each in its own process: grids, repeated seeds and searches with Optuna."""
