"""Curation of images: embeddings, filters and deduplication."""
