"""What happened to every row."""
