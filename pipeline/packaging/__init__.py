"""Trained models become part of the package: weights, networks of integers, and a card that says what they are."""
