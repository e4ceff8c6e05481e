"""Exports trained models as files for programs without this package, and as folders for the Hugging Face hub."""
