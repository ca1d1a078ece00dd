"""Tracking sequences composed from photographs, with exact boxes."""
