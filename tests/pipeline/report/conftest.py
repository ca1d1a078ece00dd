"""The report of a small real network, with plausible tracking around it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_sample_image

from netx import LIF, Accumulator, Conv2d, Correlation, Input, Layer, Network, Pool, Range, Shape, headroom
from pipeline.report.figures import Figures, SpikeFrame
from pipeline.report.report import write_report
from pipeline.tasks.tracking.report import TrackedSequence, page_sections
from sim.activity import COUNTS, Activity, count, describe
from sim.energy import Price, load_profile, price, profile_names
from sim.engine import run

FRAMES = 23


def siamese_network() -> Network:
    rng = np.random.default_rng(8)

    def weights(*shape: int) -> np.ndarray:
        return 2 * np.clip(np.round(rng.normal(0, 12, shape)), -127, 127).astype(int)

    conv1, conv2 = weights(16, 3, 3, 3), weights(24, 16, 3, 3)
    layers = []
    for branch in ("template", "search"):
        first, pool, second = (f"{branch}_{name}" for name in ("conv1", "pool1", "conv2"))
        layers += [
            Layer(first, (branch,), Conv2d(conv1, stride=2, padding=1), LIF(601)),
            Layer(pool, (first,), Pool((2, 2), (2, 2), weight=2), LIF(1)),
            Layer(second, (pool,), Conv2d(conv2), LIF(151)),
        ]
    layers += [
        Layer("correlation", ("search_conv2", "template_conv2"), Correlation(2, copies=2), LIF(15)),
        Layer("tower", ("correlation",), Conv2d(weights(32, 48, 1, 1)), LIF(61)),
        Layer("class_head", ("tower",), Conv2d(weights(1, 32, 1, 1)), Accumulator([120])),
        Layer("box_head", ("tower",), Conv2d(weights(4, 32, 1, 1)), Accumulator()),
    ]
    pixels = Range(0, 31)
    inputs = (Input("template", Shape(3, 40, 40), pixels), Input("search", Shape(3, 72, 72), pixels))
    return Network(inputs, tuple(layers), ("class_head", "box_head"))


def overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    low, high = np.maximum(a[:, :2], b[:, :2]), np.minimum(a[:, :2] + a[:, 2:], b[:, :2] + b[:, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    return shared / (np.prod(a[:, 2:], axis=1) + np.prod(b[:, 2:], axis=1) - shared)


def _tracked(name: str, seed: int, frames: int = 24) -> TrackedSequence:
    """A piece of one photograph that moves over another."""
    rng = np.random.default_rng(seed)
    background, flower = load_sample_image("china.jpg"), load_sample_image("flower.jpg")[150:310:3, 240:400:3]
    time = np.linspace(0, 1, frames)
    left = 20 + 130 * time + 20 * np.sin(6 * time + seed)
    top = 40 + 50 * np.sin(3 * time + seed) ** 2
    truth = np.stack([left, top, np.full(frames, 54.0), np.full(frames, 54.0)], axis=1)
    pictures = np.empty((frames, 180, 240, 3), np.uint8)
    for picture, (x, y, *_) in zip(pictures, truth.astype(int), strict=True):
        picture[:] = background[100:280, 200 + seed * 20 : 440 + seed * 20]
        picture[y : y + 54, x : x + 54] = flower[:54, :54]
    float_boxes = truth + np.cumsum(rng.normal(0, 1.2, truth.shape), axis=0)
    integer_boxes = float_boxes + rng.normal(0, 1.5, truth.shape)
    fixed = np.repeat(truth[:1], frames, axis=0)
    ious = (overlap(truth, boxes) for boxes in (float_boxes, integer_boxes, fixed))
    return TrackedSequence(name, pictures, truth, float_boxes, integer_boxes, *ious)


def activity_values(activity: Activity) -> dict[str, Any]:
    totals = ("spikes", "synops", "macs", "neuron_updates", "effective_synops", "dense_macs")
    return {
        **{f"{name}_per_frame": activity.mean(name) for name in totals},
        "layers": [
            {"name": layer.layer, "neurons": layer.neurons, **{name: layer.mean(name) for name in COUNTS}}
            for layer in activity.layers
        ],
    }


def energy_values(cost: Price) -> dict[str, Any]:
    profile = cost.profile
    return {
        "joules_per_frame": cost.total._asdict(),
        "source": profile.source,
        "title": profile.title,
        "scope": profile.scope.model_dump(),
        "note": profile.note,
        "constants": [{"name": name, **constant.model_dump()} for name, constant in profile.constants.items()],
        "layers": {name: energy._asdict() for name, energy in cost.by_layer().items()},
        "terms": {name: energy._asdict() for name, energy in cost.by_term().items()},
        "ann_joules_per_frame": cost.ann._asdict() if cost.ann else None,
        "unpriced": dict(cost.unpriced),
    }


def _figures_of(report: dict[str, Any], *sequences: TrackedSequence) -> Figures:
    """The figures of tracking alone."""
    return Figures(sections=tuple(page_sections(sequences, report["accuracy"])))


def example() -> tuple[dict[str, Any], Figures]:
    """A report without files, and its figures; counts are those of a real run."""
    network = siamese_network()
    sequences = tuple(_tracked(f"sequence {seed}", seed) for seed in range(3))
    scene = sequences[0].frames[:, ::2, ::2] >> 3
    search = np.moveaxis(np.stack([scene[f % len(scene), 9:81, 20:92] for f in range(FRAMES)]), 3, 1)
    template = run(network.template_network(), {"template": search[:1, :, 10:50, 10:50]})
    programmed = network.programmed({"template_conv2": template.spikes["template_conv2"][0]})
    recording = run(programmed, {"search": search})
    activity = count(programmed, {"search": search}, recording)
    layers = [
        {
            "name": name,
            "spikes": int(recording.spikes[name].sum()) if name in recording.spikes else 0,
            "differing": 0,
            "values": int(membrane.size),
            "differing_by_engine": {"engine": 0, "lava": 0, "norse": 0},
        }
        for name, membrane in recording.membranes.items()
    ]
    report = {
        "network": asdict(describe(network)),
        "verification": {
            "identical": True,
            "frames": FRAMES,
            "engines": ["slayer", "engine", "lava", "norse"],
            "layers": layers,
            "first_divergence": None,
        },
        "headroom": [
            {
                "layer": bound.layer,
                "accumulator_bits": bound.accumulator_bits,
                "worst_case": bound.worst_case,
                "limit": bound.limit,
                "observed": int(np.abs(recording.membranes[bound.layer]).max()),
            }
            for bound in headroom(programmed)
        ],
        "activity": activity_values(activity),
        "energy": {name: energy_values(price(activity, load_profile(name))) for name in profile_names()},
        "accuracy": {
            "float": {"mean_iou": float(np.mean([s.float_iou for s in sequences]))},
            "integer": {"mean_iou": float(np.mean([s.integer_iou for s in sequences]))},
            "fixed_box": {"mean_iou": float(np.mean([s.fixed_iou for s in sequences]))},
            "frames": 72,
            "sequences": 3,
        },
        "files": {"network": {"path": "network.nir", "sha256": "0f" * 32, "bytes": 123456}},
        "versions": {"monospike": "0.1.0", "lava-nc": "0.10.0", "numpy": "1.26.4"},
        "seed": 7,
        "config": {"seed": 7, "student": {"channels": [16, 24], "pixel_bits": 5}},
        "seconds": {"data": 1.25, "quantize": 3.5, "simulate": 61.0, "report": 2.0},
        "commands": ["monospike deploy configs/demo.yaml", "monospike verify runs/demo"],
    }
    template_picture = np.moveaxis(search[0, :, 10:50, 10:50], 0, 2).astype(np.uint8) << 3
    frame = SpikeFrame.of(programmed, {"search": search}, recording, 0)
    frame = SpikeFrame({"template": template_picture, **frame.pictures}, frame.spikes)
    figures = Figures({"mean IoU, integer": "0.500"}, tuple(page_sections(sequences, report["accuracy"])), (frame,))
    return report, figures


@pytest.fixture(scope="session")
def tracked() -> Callable[..., TrackedSequence]:
    return _tracked


@pytest.fixture(scope="session")
def figures_of() -> Callable[..., Figures]:
    return _figures_of


@pytest.fixture(scope="session")
def report_and_figures() -> tuple[dict[str, Any], Figures]:
    return example()


@pytest.fixture
def report(report_and_figures: tuple[dict[str, Any], Figures]) -> dict[str, Any]:
    return copy.deepcopy(report_and_figures[0])


@pytest.fixture(scope="session")
def folder(report_and_figures: tuple[dict[str, Any], Figures], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run")
    write_report(path, *report_and_figures)
    return path
