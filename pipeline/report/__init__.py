"""The page of a run, its plots and tables."""
