"""One training loop, for any task: batches of tensors, learners, loss terms."""
