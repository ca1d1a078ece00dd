"""Whole experiments: studies of trainings, and searches for designs."""
