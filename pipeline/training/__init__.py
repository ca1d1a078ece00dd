"""One training loop for teachers, students, pruning and distillation: a method is a list of loss terms."""
