"""Parts that the models of all tasks are built from."""
