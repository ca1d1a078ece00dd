"""A process that measures its own peak memory: ``python -m pipeline.bench.memory`` prints it as JSON."""

from __future__ import annotations

import json
import resource
import time

from pipeline.bench.backbone import backbone, random_frames
from sim import fused

_FRAMES = 100


def _peak_gib() -> float:
    """Linux counts ``ru_maxrss`` in KiB (getrusage(2))."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)


def main() -> None:
    """Print peak GiB before and after, and the seconds of the frames."""
    frames = random_frames(_FRAMES)
    before = _peak_gib()
    runner = fused.compile(backbone())
    start = time.perf_counter()
    runner.run(frames)
    print(json.dumps({"before_gib": before, "peak_gib": _peak_gib(), "seconds": time.perf_counter() - start}))


if __name__ == "__main__":
    main()
