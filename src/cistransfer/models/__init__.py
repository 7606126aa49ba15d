"""Architectures, their registry, scoring, and trained models on disk (bundles)."""
