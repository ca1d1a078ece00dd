"""How trackers are judged on benchmarks."""
