"""Whether everything works here: benchmarks, drawn networks, damaged files."""
