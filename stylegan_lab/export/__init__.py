"""Trained models as files for programs that do not have this package, and as folders for the Hugging Face hub."""
