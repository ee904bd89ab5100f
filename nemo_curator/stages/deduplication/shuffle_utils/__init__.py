"""Rows with equal keys into the same files."""
