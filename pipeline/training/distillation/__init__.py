"""Losses that a student learns from a teacher by, and the terms that a configuration names."""
