"""Finding documents that are the same, or nearly."""
