"""Design-space exploration: variants of trained models weighed against each other on chips."""
