"""Import of generators that were trained with other code. detection.py finds the architecture; each family has a file."""
