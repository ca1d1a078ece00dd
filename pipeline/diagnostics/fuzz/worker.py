"""The process that reads damaged files: ``python -m pipeline.diagnostics.fuzz.worker``.

Paths come in, a line each; for each an answer goes out: ``read``, ``refused`` or ``raised``, and text. It may hold
``MEMORY`` bytes of data; reading beyond is a MemoryError, and so an answer that is wrong. A file may take ``SECONDS``
of the processor's time; beyond, SIGXCPU ends the process.
"""

from __future__ import annotations

import json
import math
import resource
import sys
import time
import traceback
import warnings
from pathlib import Path

import numpy as np

from netx.errors import MonospikeError
from netx.lint import Severity, lint
from netx.nir_graph import read_graph
from quantize.nir_import import import_graph

MEMORY = 1 << 30
"""Bytes of data that reading one file may take, Python and its libraries included."""

SECONDS = 20
"""Processor time that reading one file may take: on a busy machine a clock would tell of the others."""

_FRAME_MAX = 1 << 16
"""Values of the largest input frame with which a graph is imported."""


def main() -> None:
    """Answer until the input ends."""
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    for line in sys.stdin:
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time()) + SECONDS, resource.RLIM_INFINITY))
        path = Path(json.loads(line))
        print(json.dumps(answer(path)), flush=True)


def answer(path: Path) -> tuple[str, str]:
    """What became of one file: how it ended, and the message."""
    try:
        errors = [f"{one.place}: {one.message}" for one in lint(path) if one.rule.severity is Severity.ERROR]
        if path.suffix == ".nir":
            try:
                _import(path)
            except MonospikeError as error:
                errors.append(str(error))
    except BaseException:  # whatever it is, it is what is looked for
        return "raised", traceback.format_exc()
    return ("refused", errors[0]) if errors else ("read", "")


def _import(path: Path) -> None:
    graph = read_graph(path)
    shapes = {name: node.values.get("shape") for name, node in graph.nodes.items() if node.kind == "Input"}
    frames = {}
    for name, shape in shapes.items():
        sizes = np.asarray([] if shape is None else shape).ravel()
        if (
            not sizes.size
            or sizes.dtype.kind not in "iu"
            or (sizes < 1).any()
            or np.prod(sizes.astype(float)) > _FRAME_MAX
        ):
            return
        # In a row, which an import takes for every shape: numpy has no arrays of more than 32 axes.
        frames[name] = np.ones((2, int(np.prod(sizes))), np.int32)
    import_graph(graph, frames)


if __name__ == "__main__":
    main()
