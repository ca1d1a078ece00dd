"""Everything looked at, in the order in which it is said."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain

import numpy as np

from netx import LIF, Conv2d, Input, Layer, MonospikeError, Network, Shape
from pipeline.diagnostics.doctor import libraries, machine
from pipeline.diagnostics.doctor.asking import ask
from pipeline.diagnostics.doctor.finding import Examination, Finding, Status, one_line
from sim import lava

_MARGIN_SECONDS = 2.0
"""For what is not waited for: the start of this process and its files."""


def examine(seconds: float, run_lava: bool) -> Examination:
    """Look at everything. seconds: for all that has to be waited for. run_lava: try a network in Lava, too."""
    return Examination(libraries.own_version(), tuple(_findings(seconds, run_lava)))


def _findings(seconds: float, run_lava: bool) -> Iterator[Finding]:
    start = time.monotonic()
    with ask(seconds) as asked:
        # Lava runs while the libraries answer.
        of_lava = [_guarded("lava", libraries.lava)]
        if run_lava:
            left = seconds - _MARGIN_SECONDS - (time.monotonic() - start)
            of_lava.append(_guarded("lava_run", lambda: lava_run(of_lava[0], left)))
        else:
            of_lava.append(Finding("lava_run", Status.SKIPPED, "not asked for", needed=True))
        answers = asked.answers()
        missing = asked.unanswered() if libraries.FROM_PROBES.keys() - answers.keys() else {}
    of_probes = {
        name: [_guarded(read.__name__, partial(read, answers.get(name, missing))) for read in readers]
        for name, readers in libraries.FROM_PROBES.items()
    }
    yield _guarded("python", machine.python)
    yield _guarded("requirements", libraries.installed)
    yield from of_probes.pop("torch")
    yield _guarded("cores", machine.processor)
    yield _guarded("threads", machine.threads)
    yield _guarded("shared_memory", machine.shared_memory)
    yield from of_lava
    yield from chain.from_iterable(of_probes.values())
    yield _guarded("chromium", machine.browser)
    yield _guarded("disk", machine.disk)


def lava_run(found: Finding, seconds: float) -> Finding:
    """Two neurons for three steps in stock Lava, in a process of its own; their spikes are reckoned by hand here.

    Weights 2 and 4 reach thresholds of 2 from 3 alone, as Lava fires above a threshold, not at it: an input of 1, 0, 1
    makes the first neuron fire never, the second at once.
    """
    if found.status is Status.ABSENT:
        return Finding("lava_run", Status.SKIPPED, "Lava is not installed", needed=True)
    weight = np.array([2, 4]).reshape(2, 1, 1, 1)
    network = Network((Input("x", Shape(1, 1, 1)),), (Layer("y", ("x",), Conv2d(weight), LIF(2)),), ("y",))
    frames, start = np.array([1, 0, 1]).reshape(3, 1, 1, 1), time.monotonic()
    try:
        spikes = lava.run(network, {"x": frames}, timeout=max(seconds, 1.0)).spikes["y"].reshape(3, 2)
    except lava.LavaTimeout as error:
        do = "on a busy machine say --seconds 120; else look at shared memory"
        return Finding("lava_run", Status.BROKEN, one_line(str(error)), do, needed=True)
    except (MonospikeError, OSError) as error:
        do = "look at disk, shared memory and the versions here; `pip install 'monospike[lava]'` anew"
        return Finding("lava_run", Status.BROKEN, one_line(str(error)), do, needed=True)
    took = time.monotonic() - start
    if spikes.tolist() != [[0, 1], [0, 0], [0, 1]]:
        do = "this Lava is none that was tested: `pip install 'monospike[lava]'` anew"
        return Finding("lava_run", Status.BROKEN, f"it fired {spikes.tolist()}", do, needed=True)
    return Finding(
        "lava_run", Status.WORKS, f"a small network ran in {took:.1f} s", needed=True, facts={"seconds": took}
    )


def _guarded(key: str, look: Callable[[], Finding]) -> Finding:
    """A finding, whatever happens: a doctor who falls ill helps nobody."""
    try:
        return look()
    except Exception as error:
        said = one_line(f"it cannot be looked at: {type(error).__name__}: {error}")
        return Finding(key, Status.BROKEN, said, "please report this")
