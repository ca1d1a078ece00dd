"""How well a detector finds the objects of a data set."""
