"""A student, a run and a search small enough for tests."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import pytest
from browser import Browser, open_browser

TINY_RUN = """\
name: tiny
seed: 3
model: {checkpoint}
data:
  sequences: 2
  composition: {{frames: 8, height: 96, width: 128, object_size: [20, 30]}}
simulate: {{frames: 2, lava_seconds: 280, lava_convolution: fast}}
"""

SEARCH = """\
name: tiny
models: {{tiny: {checkpoint}}}
weight_bits: [8, 3]
thresholds: [1.0, 0.5]
encoder: [chip, host]
head: [chip, host]
chips: [loihi2, loihi1_sanafe, horowitz_45nm_fp32]
host: horowitz_45nm_fp32
objectives: [mean_iou, agreement, energy, latency, cores]
data: {{sequences: 2, composition: {{frames: 4, height: 96, width: 128, object_size: [20, 30]}}}}
frames: 2
"""


@pytest.fixture(scope="session")
def monospike() -> Callable[..., subprocess.CompletedProcess[str]]:
    """The command line in this process, which has loaded torch already: a command's words and the folder it runs in."""
    from pipeline.cli.app import main

    def run(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
        words, before = ["monospike", *map(str, arguments)], Path.cwd()
        printed, complaints = io.StringIO(), io.StringIO()
        os.chdir(cwd)
        try:
            with (
                contextlib.redirect_stdout(printed),
                contextlib.redirect_stderr(complaints),
                mock.patch.object(sys, "argv", words),
                pytest.raises(SystemExit) as end,
            ):
                main()
        finally:
            os.chdir(before)
        return subprocess.CompletedProcess(words, int(end.value.code or 0), printed.getvalue(), complaints.getvalue())

    return run


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """torch on one thread: sums in another order are other sums."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small student, not trained, that spikes in every layer when it sees composed clips."""
    # Here: the tests of the core run where there is neither torch nor Lava.
    import torch

    from pipeline.datasets.pictures import open_pictures
    from pipeline.datasets.synthetic.compose import compose
    from pipeline.datasets.synthetic.composition import CompositionSpec
    from pipeline.tasks.tracking.checkpoint import save_model
    from pipeline.tasks.tracking.config import TrackerConfig
    from pipeline.tasks.tracking.initialisation import calibrate
    from pipeline.tasks.tracking.models.config import WIDTHS, SpikingConfig
    from pipeline.tasks.tracking.models.spiking import SpikingSiamFCpp
    from pipeline.tasks.tracking.predictor import search_pixels, template_pixels
    from pipeline.tasks.tracking.scorer import crops_of, geometry_of

    config = SpikingConfig(width=WIDTHS["tiny"], template=103, search=143, box_shift=1.4)
    spec = CompositionSpec(frames=2, height=96, width=128, object_size=(20, 30))
    clips = [compose(open_pictures("builtin"), spec, seed) for seed in range(8)]
    template, search = (
        torch.cat([crops_of(cut(c.frames[0], c.boxes[0], geometry_of(config), TrackerConfig())) for c in clips])
        for cut in (template_pixels, search_pixels)
    )
    torch.manual_seed(2)
    student = calibrate(SpikingSiamFCpp(config), template, search)
    with torch.no_grad():  # its biases are no longer zero
        student.train()(template, search)
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    save_model(student.eval(), path)
    return path


@pytest.fixture(scope="session")
def tiny_run(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a configuration of a whole run of it."""
    path = tmp_path_factory.mktemp("config") / "tiny.yaml"
    path.write_text(TINY_RUN.format(checkpoint=checkpoint))
    return path


@pytest.fixture(scope="session")
def search_file(checkpoint: Path) -> Path:
    """The configuration of a search among four variants of it."""
    path = checkpoint.with_name("search.yaml")
    path.write_text(SEARCH.format(checkpoint=checkpoint))
    return path


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium without a screen; a skipped test where there is none."""
    with open_browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened
