"""Finding documents that are nearly the same."""
