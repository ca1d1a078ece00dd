"""Trained models that come with the package: names, cards, packaging."""
