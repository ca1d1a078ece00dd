"""A whole step of a tracker: crop, network, decoding; in integers on the engine, and in real values in PyTorch."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from pipeline.datasets.pictures import open_pictures
from pipeline.datasets.synthetic.compose import compose
from pipeline.datasets.synthetic.composition import CompositionSpec
from pipeline.diagnostics.bench.measure import Measure, alternate, seconds
from pipeline.tasks.tracking.config import TrackerConfig
from pipeline.tasks.tracking.crop import Box, Image
from pipeline.tasks.tracking.model_tracker import around
from pipeline.tasks.tracking.models.config import WIDTHS, SiamFCppConfig, SpikingConfig
from pipeline.tasks.tracking.models.initialisation import calibrate
from pipeline.tasks.tracking.models.siamfcpp import ConvNorm, SiamFCpp
from pipeline.tasks.tracking.models.spiking import SpikingSiamFCpp
from pipeline.tasks.tracking.predictor import Pixels, ScoreMap, Scorer, Siamese, search_pixels, template_pixels
from pipeline.tasks.tracking.scorer import IntegerScorer, ModelScorer, crops_of, geometry_of

_FRAMES = 10
"""Steps of a run: a clip's frames after the first."""
_CLIP = CompositionSpec(frames=_FRAMES + 1, height=480, width=640, object_size=(60, 120))


def alexnet_tracker(runs: int) -> Measure:
    """(h) S4 against its teacher at SiamFC++-AlexNet's width."""
    return _tracker_steps("alexnet", runs)


def small_tracker(runs: int) -> Measure:
    """(i) The same at the width ``small``."""
    return _tracker_steps("small", runs)


def folded(teacher: SiamFCpp) -> SiamFCpp:
    """The teacher as one would deploy it: norms folded into the convolutions, channels last in memory."""
    for module in teacher.eval().modules():
        if isinstance(module, ConvNorm) and isinstance(module.norm, nn.BatchNorm2d):
            module.conv = fuse_conv_bn_eval(module.conv, module.norm)
            module.norm = nn.Identity()
        if isinstance(module, nn.Conv2d):
            module.weight.data = module.weight.data.contiguous(memory_format=torch.channels_last)
    return teacher


def _tracker_steps(width: str, runs: int) -> Measure:
    """Ten steps of each on the same frames. Weights are random: neither side's time depends on them, since the engine
    computes zeros too."""
    torch.manual_seed(0)
    clip, settings = compose(open_pictures(), _CLIP, seed=1), TrackerConfig()
    frames, box = clip.stacked(), clip.boxes[0]
    student = _student(SpikingConfig(width=WIDTHS[width]), frames, box, settings)
    teacher = folded(SiamFCpp(SiamFCppConfig(width=WIDTHS[width])))
    timed = _Timed(IntegerScorer(student))
    ours = around(timed, student, settings)
    theirs = around(ModelScorer(teacher), teacher, settings)
    pairs = alternate(_steps(ours, frames, box), _steps(theirs, frames, box), runs).each(_FRAMES)
    ratios = sorted(theirs / ours for ours, theirs in zip(pairs.ours, pairs.theirs, strict=True))
    spread = f"ratios {ratios[0]:.2f} to {ratios[-1]:.2f}"
    if runs > 3:
        low, _, high = statistics.quantiles(ratios, n=4)
        spread += f", half of them {low:.2f} to {high:.2f}"
    note = (
        f"{_FRAMES} steps of crop, network and decoding a run, width {width}, search crops of {student.config.search} "
        f"pixels from frames of {_CLIP.width}x{_CLIP.height}; {torch.get_num_threads()} threads; {spread}; seconds are "
        "of one step; theirs: float32, inference mode, norms folded, channels last; the template is programmed before"
    )
    profile = _profile(ours, timed, frames, box)
    return Measure(pairs.times_faster, pairs.ours_s, pairs.theirs_s, runs, "at least 3", note, profile)


class _Timed:
    """A scorer that keeps the seconds of each answer."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self.seconds: list[float] = []

    def program(self, template: Pixels) -> None:
        self._scorer.program(template)

    def score(self, search: Pixels) -> ScoreMap:
        began = time.perf_counter()
        result = self._scorer.score(search)
        self.seconds.append(time.perf_counter() - began)
        return result


def _profile(tracker: Siamese, network: _Timed, frames: Image, box: Box) -> dict[str, float]:
    """Median seconds of a step's parts."""
    tracker.start(frames[0], box)
    whole = [seconds(partial(tracker.follow, frame)) for frame in frames[1:]]
    inner = network.seconds[-len(whole) :]
    rest = [total - part for total, part in zip(whole, inner, strict=True)]
    return {"network": statistics.median(inner), "crop and box": statistics.median(rest)}


def _student(config: SpikingConfig, frames: Image, box: Box, settings: TrackerConfig) -> SpikingSiamFCpp:
    """A student with thresholds at which the usual share of its neurons spikes on these crops."""
    geometry = geometry_of(config)
    template, search = (cut(frames[0], box, geometry, settings) for cut in (template_pixels, search_pixels))
    return calibrate(SpikingSiamFCpp(config), crops_of(template), crops_of(search)).eval()


def _steps(tracker: Siamese, frames: Image, box: Box) -> Callable[[], None]:
    tracker.start(frames[0], box)

    def run() -> None:
        for frame in frames[1:]:
            tracker.follow(frame)

    return run
