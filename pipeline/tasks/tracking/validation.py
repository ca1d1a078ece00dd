"""How well a model follows sequences that it was not trained on, and how much it spikes while doing so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from pipeline.core.boxes import iou
from pipeline.core.seeds import derived_seed
from pipeline.datasets.annotations import has_box
from pipeline.datasets.catalog import find_benchmark, open_benchmark
from pipeline.datasets.clip import FrameSequence
from pipeline.datasets.errors import DataError
from pipeline.datasets.pictures import open_pictures
from pipeline.datasets.synthetic.compose import compose
from pipeline.tasks.tracking.checkpoint import Model
from pipeline.tasks.tracking.config import TrackerConfig, ValidationConfig
from pipeline.tasks.tracking.models.spiking import SpikingSiamFCpp
from pipeline.tasks.tracking.predictor import Geometry, Pixels, search_pixels, template_pixels, track
from pipeline.tasks.tracking.scorer import ModelScorer, crops_of, geometry_of

RATE_FRAMES = 4
"""Frames of each sequence that spike rates are measured on."""


@dataclass(frozen=True, eq=False)
class ValidationSequence:
    """One sequence to follow: RGB frames, (height, width, 3) each, and boxes (frame, 4)."""

    name: str
    frames: FrameSequence
    boxes: npt.NDArray[np.float64]


def validation_tracks(config: ValidationConfig, seed: int) -> list[ValidationSequence]:
    """The sequences of a configuration. Raises DataError or FormatError that say what is missing and where."""
    tracks = []
    if config.pictures is not None:
        pictures = open_pictures(config.pictures)
        spec = config.composition.model_copy(update={"frames": min(config.composition.frames, config.frames)})
        for index in range(config.sequences):
            clip = compose(pictures, spec, derived_seed(seed, "validation", index))
            tracks.append(ValidationSequence(clip.name, clip.frames, clip.boxes))
    if config.root is not None:
        for entry in open_benchmark(find_benchmark("folder"), config.root):
            video = entry.load()
            boxes = video.boxes[: config.frames]
            known = has_box(boxes)
            if not known[0] or not known[1:].any():
                raise DataError(
                    f"{entry.folder}: {entry.name} has no box in its first frame, or none in the {len(boxes) - 1} "
                    "after it, and cannot be validated on; leave it out"
                )
            tracks.append(ValidationSequence(video.name, list(islice(video.frames(), config.frames)), boxes))
    return tracks


def validate(
    model: Model, tracks: Sequence[ValidationSequence], settings: TrackerConfig, device: torch.device | None = None
) -> dict[str, Any]:
    """JSON values: mean IoU over the frames after the first of each sequence, then over the sequences; beside it that
    of a box that never moves, and spike rates by layer where the model spikes. The model's mode is left as it was."""
    training = model.training
    scorer, geometry = ModelScorer(model, device), geometry_of(model.config)
    overlaps, still = {}, {}
    for shown in tracks:
        boxes = track(scorer, shown.frames, shown.boxes[0], geometry, settings)
        known = has_box(shown.boxes[1:])
        truth = shown.boxes[1:][known]
        overlaps[shown.name] = float(iou(boxes[1:][known], truth).mean())
        still[shown.name] = float(iou(np.broadcast_to(shown.boxes[0], truth.shape), truth).mean())
    result: dict[str, Any] = {
        "mean_iou": float(np.mean(list(overlaps.values()))),
        "fixed_box": float(np.mean(list(still.values()))),
        "sequences": overlaps,
    }
    if isinstance(model, SpikingSiamFCpp):
        result |= spike_rates(model, tracks, settings, device)
    model.train(training)
    return result


@torch.inference_mode()
def spike_rates(
    model: SpikingSiamFCpp,
    tracks: Sequence[ValidationSequence],
    settings: TrackerConfig,
    device: torch.device | None = None,
) -> dict[str, Any]:
    """``spike_rate``: spikes of a search frame over neurons and time steps, which ``layers`` has for each layer;
    ``spikes_per_neuron``: over neurons alone. Crops lie around the true boxes."""
    spikes: dict[str, list[float]] = {}
    neurons: dict[str, int] = {}
    for template, searches in true_crops(tracks, geometry_of(model.config), settings, device):
        target = model.program(template)
        for search in searches:
            for name, value in model.respond(target, search).items():
                if name.startswith("spikes/"):
                    spikes.setdefault(name.removeprefix("spikes/"), []).append(float(value.mean()))
                    neurons[name.removeprefix("spikes/")] = value[0].numel()
    layers = {name: float(np.mean(values)) for name, values in spikes.items()}
    total = sum(layers[name] * count for name, count in neurons.items()) / sum(neurons.values())
    return {"spike_rate": total, "spikes_per_neuron": total * model.time_steps, "layers": layers}


def true_crops(
    tracks: Sequence[ValidationSequence],
    geometry: Geometry,
    settings: TrackerConfig,
    device: torch.device | None = None,
) -> Iterator[tuple[torch.Tensor, list[torch.Tensor]]]:
    """For each sequence the template crop and search crops of up to ``RATE_FRAMES`` frames, around the true boxes."""
    for shown in tracks:
        template = template_pixels(shown.frames[0], shown.boxes[0], geometry, settings)
        known = np.flatnonzero(has_box(shown.boxes))
        chosen = np.unique(known[np.linspace(0, len(known) - 1, RATE_FRAMES).astype(int)])
        searches = [search_pixels(shown.frames[i], shown.boxes[i], geometry, settings) for i in chosen]
        yield _crops(template, device), [_crops(pixels, device) for pixels in searches]


def _crops(pixels: Pixels, device: torch.device | None) -> torch.Tensor:
    return crops_of(pixels).to(device or torch.device("cpu"))
