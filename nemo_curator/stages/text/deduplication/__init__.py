"""Duplicates among texts."""
