"""Applies a network to an image that is too large for memory, in horizontal strips. The result is the same as for the whole
image."""
