"""Applies a network to an image that is too large for memory, in horizontal strips, with the result of the whole image."""
