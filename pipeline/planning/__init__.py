"""Planning for a chip: does a network fit, where does it sit, what does a frame cost, and how sure is that."""
