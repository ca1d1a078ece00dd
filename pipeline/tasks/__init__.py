"""The tasks, a room each, and the recipe by which all of them are trained."""
