"""Locality-sensitive hashing: documents that share a band of their signatures."""
