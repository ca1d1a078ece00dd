"""Damaged and hostile files are read within limits."""
