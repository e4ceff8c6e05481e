"""Data modules for folders of the user's own images."""
