"""The scores of a tracker on a benchmark, as JSON values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from collections.abc import Sequence as ManyOf
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pipeline.datasets.catalog import AbsentFrames, Benchmark
from pipeline.datasets.video import Video
from pipeline.tasks.tracking.metrics import one_pass, vot
from pipeline.tasks.tracking.predictions import Predictions


@dataclass(frozen=True, eq=False)
class Finished:
    """A sequence and what the tracker did on it."""

    video: Video
    run: Predictions


def summarise(benchmark: Benchmark, finished: ManyOf[Finished], absent_frames: AbsentFrames) -> dict[str, Any]:
    """mean_iou, success, precision, fps, scores of the benchmark's own, curves, and the same of every sequence.

    mean_iou: of the frames with the object after the first, then over the sequences; for VOT2018 its accuracy. What
    cannot be told (ground truth withheld, nothing to average) is None. At least one sequence.
    """
    if benchmark.withheld:
        summary: dict[str, Any] = {"mean_iou": None, "success": None, "precision": None, "scores": {}, "curves": None}
        rows = {f.video.name: dict.fromkeys(("mean_iou", "success", "precision")) for f in finished}
    elif benchmark.protocol == "vot2018":
        summary, rows = _supervised(finished)
    else:
        summary, rows = _one_pass(finished, absent_frames, pooled=benchmark.protocol == "got10k")
    for f in finished:
        rows[f.video.name] |= {"frames": len(f.video), "fps": f.run.frames_per_second}
    return _finite({**summary, "fps": _speed(finished), "sequences": rows})


def _one_pass(
    finished: ManyOf[Finished], absent_frames: AbsentFrames, pooled: bool
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """pooled: with GOT-10k's scores."""
    rows, curves, overlaps = {}, [], []
    for f in finished:
        truth, absent, boxes = f.video.boxes, f.video.absent, f.run.boxes
        curves.append(one_pass.curves(boxes, truth, absent, absent_frames))
        rows[f.video.name] = {"mean_iou": one_pass.mean_overlap(boxes, truth, absent), **_scores(curves[-1])}
        if pooled:
            overlaps.append(one_pass.counted_overlaps(boxes, truth, absent, f.video.size()))
            rows[f.video.name] |= asdict(one_pass.got10k_scores(overlaps[-1:]))
    mean = one_pass.average([c for c in curves if np.isfinite(c.success).all()])
    named = _scores(mean)
    summary = {
        "mean_iou": _mean([row["mean_iou"] for row in rows.values()]),
        "success": named.pop("success"),
        "precision": named.pop("precision"),
        "scores": named | (asdict(one_pass.got10k_scores(overlaps)) if pooled else {}),
        "curves": {
            "success": _curve(one_pass.OVERLAPS, mean.success),
            "precision": _curve(one_pass.PIXELS, mean.precision),
            "normalised_precision": _curve(one_pass.SIZES, mean.normalised_precision),
        },
    }
    return summary, rows


def _scores(curves: one_pass.Curves) -> dict[str, float]:
    return {
        "success": curves.success_score,
        "precision": curves.precision_score,
        "normalised_precision": curves.normalised_precision_score,
        "normalised_precision_at_0.2": curves.normalised_precision_at_fifth,
    }


def _supervised(finished: ManyOf[Finished]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    rows, counted, whole = {}, [], []
    runs = [f.run for f in finished]
    for f in finished:
        assert f.video.polygons is not None, "VOT's videos have polygons"
        width, height = f.video.size()
        # pysot bounds accuracy by (width, height) but the expected overlap by (width - 1, height - 1).
        within = vot.overlaps(f.run, f.video.polygons, (width, height))
        whole.append(vot.overlaps(f.run, f.video.polygons, (width - 1, height - 1)))
        counted.append(vot.settled(f.run, within))
        mean = float(counted[-1].mean()) if len(counted[-1]) else math.nan
        lost = len(f.run.failures)
        rows[f.video.name] = {"mean_iou": mean, "success": None, "precision": None, "failures": lost}
    failures, lengths = [len(run.failures) for run in runs], [len(run) for run in runs]
    scores: dict[str, float] = {"failures": sum(failures)}
    toolkits: tuple[vot.Toolkit, ...] = ("pysot", "vot")
    for toolkit in toolkits:
        scores[f"accuracy_{toolkit}"] = vot.accuracy(counted, lengths, toolkit)
        scores[f"robustness_{toolkit}"] = vot.robustness(failures, lengths, toolkit)
        scores[f"eao_{toolkit}"] = vot.expected_overlap(runs, whole, toolkit)
    mean_iou = scores["accuracy_pysot"]
    return {"mean_iou": mean_iou, "success": None, "precision": None, "scores": scores, "curves": None}, rows


def _speed(finished: ManyOf[Finished]) -> float:
    """Mean over the sequences of their frames per second, as the got10k toolkit averages speed."""
    return _mean([f.run.frames_per_second for f in finished])


def _mean(values: ManyOf[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return float(np.mean(known)) if known else math.nan


def _curve(thresholds: Any, values: Any) -> dict[str, list[float]]:
    return {"thresholds": [round(float(t), 4) for t in thresholds], "values": [float(v) for v in values]}


def _finite(value: Any) -> Any:
    """``value`` with None for what is not finite, which JSON cannot say."""
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
