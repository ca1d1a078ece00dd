"""``python -m pipeline.diagnostics.doctor.probes``: import each library, try it, and print what it says as JSON.

A line for each, as soon as it is known. Each is tried in a process of its own, so that a library that crashes ends
nothing else; they are forks of one that has imported torch, which takes seconds and which most of them need.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.metadata import version
from importlib.util import find_spec

from pipeline.diagnostics.doctor.finding import Fact, one_line

PROBE = "probe"
"""In a line: which of them it is from."""


def torch() -> dict[str, Fact]:
    """torch, its 8-bit convolutions in the engine's own self-test, and the GPU that it sees."""
    import numpy as np
    import torch
    import torchvision  # noqa: F401  the trackers' layers

    from netx import Range, Shape
    from sim.kernels import int8
    from sim.kernels.convolution import Convolution, Geometry

    geometry = Geometry(4, Shape(64, 32, 32), 64, (3, 3), (1, 1), (1, 1), (1, 1), 1)
    weight = 2 * (np.arange(64 * 64 * 9, dtype=np.int32).reshape(64, 64, 3, 3) % 5 - 2)
    convolution = Convolution(weight, geometry, Range(0, 1))
    trial = int8.trial(convolution, True)
    gpu = torch.cuda.is_available()
    return {
        "version": torch.__version__,
        "threads": torch.get_num_threads(),
        "int8_objection": int8.objection(convolution, 4 * 64 * 9, "cpu") or trial.objection,
        "int8_s": trial.int8_s,
        "float32_s": trial.float32_s,
        "gpu": torch.cuda.get_device_name(0) if gpu else None,
        "gpu_bytes": torch.cuda.get_device_properties(0).total_memory if gpu else None,
        "cuda": torch.version.cuda,
    }


def numba() -> dict[str, Fact]:
    """numba, and the folder where it keeps what it compiles."""
    import numba

    from sim.kernels.native import cache_folder

    folder, said = None, ""
    try:
        folder = cache_folder()
    except (OSError, RuntimeError) as error:
        said = str(error)
    return {"version": numba.__version__, "cache": None if folder is None else str(folder), "objection": said}


def ray() -> dict[str, Fact]:
    """Ray; it is not started."""
    import ray

    return {"version": ray.__version__}


def norse() -> dict[str, Fact]:
    """norse with nirtorch, as the verification uses them."""
    import nirtorch  # noqa: F401
    import norse  # noqa: F401

    return {"version": version("norse"), "nirtorch": version("nirtorch")}


def slayer() -> dict[str, Fact]:
    """lava-dl's SLAYER, of which students are built."""
    if find_spec("lava") is None:
        return {"missing": "lava"}
    from pipeline.models.slayer import slayer  # noqa: F401

    return {"version": version("lava-dl")}


PROBES: Mapping[str, Callable[[], dict[str, Fact]]] = {
    probe.__name__: probe for probe in (ray, torch, slayer, norse, numba)
}
"""By name, in the order in which they are tried; only the first does without torch."""


def _main() -> None:
    for name, probe in PROBES.items():
        if probe is torch:
            with suppress(Exception):  # the probe itself says what is wrong
                import torch as _  # noqa: F401
        child = os.fork()
        if not child:
            # Not through what a library does at its end.
            os._exit(_try(name, probe))
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status:
            how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
            _say(name, {"error": f"its process {how}"})


def _try(name: str, probe: Callable[[], dict[str, Fact]]) -> int:
    try:
        answer = probe()
    except ModuleNotFoundError as error:
        answer = {"missing": error.name or str(error)}
    except BaseException as error:  # whatever a library raises is what its user has to know
        answer = {"error": one_line(f"{type(error).__name__}: {error}")}
    _say(name, answer)
    return 0


def _say(name: str, answer: Mapping[str, Fact]) -> None:
    print("\n" + json.dumps({PROBE: name, **answer}), flush=True)


if __name__ == "__main__":
    _main()
