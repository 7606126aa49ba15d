"""Scores for regions and sequences."""
