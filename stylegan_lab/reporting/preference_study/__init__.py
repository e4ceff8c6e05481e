"""Preference studies: people choose the better of two images; votes give win rates with confidence intervals."""
