"""Documents of texts and images."""
