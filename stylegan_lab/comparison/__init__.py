"""Comparisons: what runs were asked, scored and cost, side by side; read from their folders alone."""
