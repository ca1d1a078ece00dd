"""A study trains and judges models by a plan, and writes its results page."""
