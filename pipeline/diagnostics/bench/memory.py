"""A process that measures its own peak memory: ``python -m pipeline.diagnostics.bench.memory`` prints it as JSON."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

from pipeline.diagnostics.bench.backbone import backbone, random_frames
from sim import engine

_FRAMES = 100


def _peak_gib() -> float:
    """Linux says the most that this process has held in KiB (proc(5), VmHWM). getrusage(2) would not do: its
    ``ru_maxrss`` keeps the peak of the process that started this one."""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(encoding="ascii"), re.MULTILINE)
    assert found is not None, "Linux has it since 2.6"
    return int(found[1]) / (1 << 20)


def main() -> None:
    """Print peak GiB before and after, and the seconds of the frames."""
    frames = random_frames(_FRAMES)
    before = _peak_gib()
    runner = engine.compile(backbone())
    start = time.perf_counter()
    runner.run(frames)
    print(json.dumps({"before_gib": before, "peak_gib": _peak_gib(), "seconds": time.perf_counter() - start}))


if __name__ == "__main__":
    main()
