"""Studies and pictures of distilled data."""
