"""Sweeps: many trials of one experiment, each a process of its own; grids, seeds and searches."""
