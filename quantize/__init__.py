"""A float model becomes a network of integers."""
