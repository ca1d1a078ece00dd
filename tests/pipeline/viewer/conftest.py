"""A run whose folder the stages' own machinery and writers have filled, but for its report; and a training's."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml

from netx import LIF, Accumulator, Conv2d, Input, Layer, Network, Range, Shape
from netx.files import write_whole
from pipeline.core.files import write_json
from pipeline.deploy.layout import CONFIG_FILE, EVALUATION, STAGES, VERDICT, recording_file
from pipeline.deploy.stages import Step, run_step
from pipeline.deploy.verdict import Verdict
from pipeline.planning.files import save_plans
from pipeline.planning.plan import make_plans
from pipeline.training.logs import Log
from pipeline.viewer.live.server import Server
from sim import engine
from sim.compare import compare
from sim.recording import Recording

FRAMES = 5


@dataclass
class SmallRun:
    """What its steps share."""

    folder: Path
    network: Network
    frames: dict[str, np.ndarray]
    recording: Recording
    settings = {}  # noqa: RUF012

    def code(self, function: Callable[..., str]) -> str:
        return function.__name__


def _nothing(_: SmallRun) -> str:
    return f"{FRAMES} frames of <b>noise</b>"


def _simulate(run: SmallRun) -> str:
    run.recording.save(run.folder / recording_file("engine", "search"))
    return "recorded"


def _verify(run: SmallRun) -> str:
    other = Recording("again", run.recording.spikes, run.recording.membranes)
    verdict = Verdict(compare(run.network, run.frames, run.recording, [other]))
    write_json(run.folder / VERDICT, verdict.to_json())
    return verdict.message()


def _profile(run: SmallRun) -> str:
    scores = {"float": {"mean_iou": 0.5}, "integer": {"mean_iou": 0.4375}, "frames": FRAMES}
    write_json(run.folder / EVALUATION, {"scores": scores, "headline": "mean IoU: integer 0.438", "figures": {}})
    save_plans(run.folder / "profile", make_plans(run.network, run.frames, run.recording, ["loihi2"]))
    return "mean IoU: integer 0.438"


_FUNCTIONS = {"simulate": _simulate, "verify": _verify, "profile": _profile}


def make_run(folder: Path) -> SmallRun:
    """All stages but the report, done in ``folder``."""
    rng = np.random.default_rng(4)
    layers = (
        Layer("conv1", ("search",), Conv2d(2 * rng.integers(-30, 36, (6, 3, 3, 3)), stride=2), LIF(301)),
        Layer("conv2", ("conv1",), Conv2d(2 * rng.integers(-30, 34, (9, 6, 3, 3))), LIF(201)),
        Layer("class", ("conv2",), Conv2d(2 * rng.integers(-30, 34, (1, 9, 1, 1))), Accumulator()),
    )
    network = Network((Input("search", Shape(3, 24, 24), Range(-16, 15)),), layers, ("class",))
    frames = {"search": rng.integers(-16, 16, (FRAMES, 3, 24, 24))}
    run = SmallRun(folder, network, frames, engine.run(network, frames))
    with write_whole(folder / CONFIG_FILE) as path:
        path.write_text(yaml.safe_dump({"name": folder.name, "task": "tracking", "model": "demo"}))
    for name in STAGES[:-1]:
        run_step(Step(name, _FUNCTIONS.get(name, _nothing)), run)
    return run


def log_steps(folder: Path, *steps: int) -> None:
    """What a training writes of these steps: a loss of a hundredth of each."""
    log = Log(folder, steps[0] - 1)
    for step in steps:
        log.add(step, {"student/class": step / 100, "rate": 0.001})
    log.close()


@pytest.fixture
def small_run(tmp_path: Path) -> SmallRun:
    """The deployment ``small`` of ``runs``."""
    return make_run(tmp_path / "runs" / "small")


@pytest.fixture
def runs(small_run: SmallRun) -> Path:
    """A folder of runs: ``small``, a deployment without its report, and ``learns``, a training at step 20 of 50."""
    folder = small_run.folder.parent
    training = folder / "learns"
    training.mkdir()
    values = {"name": "learns", "task": "tracking", "losses": [], "train": {"steps": 50}}
    (training / CONFIG_FILE).write_text(yaml.safe_dump(values))
    log_steps(training, 10, 20)
    return folder


@contextmanager
def _serving(folder: Path) -> Iterator[Server]:
    with Server(folder, 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def serving() -> Callable[[Path], object]:
    """Serves a run as ``monospike open`` does, while a block lasts."""
    return _serving
