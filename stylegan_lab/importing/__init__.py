"""Import of generators that were trained with other code. detection.py finds the architecture, and each family of architectures
has its own module."""
