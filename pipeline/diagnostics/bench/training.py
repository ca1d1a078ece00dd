"""A step of training in lava-dl's SLAYER blocks, and in the plain ones of the same bits."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch

from pipeline.datasets.pictures import open_pictures
from pipeline.datasets.synthetic.compose import compose
from pipeline.datasets.synthetic.composition import CompositionSpec
from pipeline.diagnostics.bench.measure import Measure, alternate
from pipeline.models.blocks import BlockChoice, built_of, find_blocks
from pipeline.tasks.tracking.config import TrackerConfig
from pipeline.tasks.tracking.initialisation import calibrate
from pipeline.tasks.tracking.losses import score_points, tracking_loss
from pipeline.tasks.tracking.models.config import STRIDE, WIDTHS, SpikingConfig
from pipeline.tasks.tracking.models.spiking import SpikingSiamFCpp
from pipeline.tasks.tracking.predictor import Geometry, search_pixels, template_pixels
from pipeline.tasks.tracking.scorer import crops_of

_PAIRS = 16
_CONFIG = SpikingConfig(width=WIDTHS["small"])
_SIDES = Geometry(_CONFIG.template, 239, STRIDE, 8)
"""Crops of 239 pixels, as the shipped students are trained on."""


def slayer_against_plain(runs: int) -> Measure:
    """(k) Forward, losses, backward, Adam and projection of ``small``, on crops that are there already.

    Both students learn the same, bit for bit.
    """
    template, search = _crops()
    torch.manual_seed(0)
    student = calibrate(SpikingSiamFCpp(_CONFIG), template, search).train()
    choices: tuple[BlockChoice, BlockChoice] = ("slayer", "plain")
    blocks = [find_blocks(choice, _CONFIG.neurons, _CONFIG.surrogate, template.device) for choice in choices]
    slayers, plain = (_step(built_of(student, made), template, search) for made in blocks)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as trainings run that share the machine; processor time is then what a step takes
    try:
        pairs = alternate(slayers, plain, runs, clock=time.process_time)
    finally:
        torch.set_num_threads(threads)
    note = (
        f"steps of {_PAIRS} pairs, width small, one time step, search crops of {_SIDES.search} pixels; "
        f"processor time of one thread; pairs a second: {_PAIRS / pairs.ours_s:.1f} in SLAYER's blocks, "
        f"{_PAIRS / pairs.theirs_s:.1f} in the plain ones; batches are made before; theirs: plain"
    )
    return Measure(pairs.times_slower, pairs.ours_s, pairs.theirs_s, runs, "below 3", note)


def _crops() -> tuple[torch.Tensor, torch.Tensor]:
    """Templates and search crops of composed clips."""
    pictures, settings = open_pictures(), TrackerConfig()
    clips = [compose(pictures, CompositionSpec(frames=2), seed) for seed in range(_PAIRS)]
    template = [template_pixels(clip.frames[0], clip.boxes[0], _SIDES, settings) for clip in clips]
    search = [search_pixels(clip.frames[1], clip.boxes[0], _SIDES, settings) for clip in clips]
    return crops_of(np.concatenate(template)), crops_of(np.concatenate(search))


def _step(student: SpikingSiamFCpp, template: torch.Tensor, search: torch.Tensor) -> Callable[[], None]:
    optimiser = torch.optim.Adam(student.parameters(), lr=1e-3)
    side = _SIDES.search
    box = torch.tensor([[side / 2 - 30, side / 2 - 30, 60.0, 60.0]]).expand(_PAIRS, -1)
    same = torch.ones(_PAIRS, dtype=torch.bool)

    def run() -> None:
        answer = student(template, search)
        readout = {name: answer[name] for name in ("class", "centre")}
        points = score_points(readout["class"].shape[-1], side, box.device, STRIDE)
        losses = tracking_loss(readout, answer["distances"], box, same, points)
        optimiser.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        optimiser.step()
        student.project()

    return run
