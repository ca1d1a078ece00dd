"""How fast the engine is against its peers: measurements by the letters and names of ``bench.json``."""

from pipeline.bench.benchmarks import BENCHMARKS, Benchmark
from pipeline.bench.measure import Measure, alternate

__all__ = ["BENCHMARKS", "Benchmark", "Measure", "alternate"]
