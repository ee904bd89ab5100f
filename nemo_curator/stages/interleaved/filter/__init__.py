"""Filters of documents of texts and images."""
