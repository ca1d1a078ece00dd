"""What the models of a study come to: every figure with its mean and spread over the seeds, as JSON values."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import numpy as np

from pipeline.core.files import file_digest
from pipeline.core.judging import Form, Judge
from pipeline.core.operations import Work
from pipeline.experiments.study.config import StudyConfig
from pipeline.experiments.study.judging import Evaluation, evaluations_of
from pipeline.experiments.study.plan import Candidate
from pipeline.models.parameters import parameter_count
from pipeline.models.safetensors_file import read_metadata
from pipeline.planning.literature_energy import ARITHMETICS, SCOPES, TWINS, joules, twin_joules
from pipeline.tasks import find_task
from pipeline.tasks.checkpoint import read_checkpoint


def spread(values: Sequence[float]) -> dict[str, float | int | None]:
    """Mean, standard deviation of the sample (none of a single value), smallest, largest, and how many there are."""
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
    mean, low, high = float(np.mean(values)), float(min(values)), float(max(values))
    return {"mean": mean, "std": deviation, "min": low, "max": high, "n": len(values)}


def seed_figures(candidate: Candidate, study: StudyConfig[Any], work: Work) -> dict[str, Any]:
    """One model with one seed: where it came from, its scores by benchmark and form, its work and energy."""
    scores: dict[str, dict[str, Any]] = {}
    for evaluation in evaluations_of(candidate, study):
        found = evaluation.scores()
        if found is not None:
            scores.setdefault(evaluation.benchmark.title, {})[evaluation.form] = found
    task = find_task(study.task)
    return {
        "checkpoint": str(candidate.checkpoint),
        "sha256": file_digest(candidate.checkpoint),
        "as_configured": _as_configured(candidate),
        "parameters": parameter_count(read_checkpoint(candidate.checkpoint, task).model(task)),
        "scores": scores,
        "spike_rate": work.spike_rate,
        "synops": sum(layer.synops for layer in work.layers),
        "macs": sum(layer.macs for layer in work.layers),
        "energy": _energy(work),
        "energy_encoder_once": _energy(work, encoder_once=True),
        "twins": None if candidate.time_steps is None else {twin: twin_joules(work, twin) for twin in TWINS},
        "layers": work.to_json()["layers"],
    }


def _energy(work: Work, encoder_once: bool = False) -> dict[str, dict[str, float]]:
    return {scope: {a: joules(work, scope, a, encoder_once) for a in ARITHMETICS} for scope in SCOPES}


def _as_configured(candidate: Candidate) -> bool:
    """Whether the checkpoint says that it was trained by what the study's files now say.

    Keys that only one of the two has are of another version of the program and say nothing; weights to start from count
    by their path. A stage of pruning has time steps, training steps and a start of its own.
    """
    stored = json.loads(read_metadata(candidate.checkpoint).get("training", "{}"))
    ours = candidate.config.model_dump(mode="json", include={"seed", "models", "losses", "data", "train"})
    for values in (ours, stored):
        for key in ("workers", "save_every", "log_every", *(("steps",) if candidate.config.pruning else ())):
            values.get("train", {}).pop(key, None)
        if candidate.config.pruning:
            values.get("models", {}).get(candidate.model, {}).get("architecture", {}).pop("time_steps", None)
            for entry in values.get("models", {}).values():
                if entry.get("trained", True):
                    entry.pop("weights", None)
    return bool(stored) and _agree(ours, stored)


def _agree(first: Any, second: Any) -> bool:
    if isinstance(first, dict) and isinstance(second, dict):
        return all(_agree(first[key], second[key]) for key in first.keys() & second.keys())
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(_agree, first, second))
    return bool(first == second)


def summary(seeds: Mapping[str, Mapping[str, Any]], study: StudyConfig[Any]) -> dict[str, Any]:
    """Spreads over the seeds of ``seed_figures``."""
    rows = list(seeds.values())
    scores: dict[str, dict[str, Any]] = {}
    for title in (benchmark.title for benchmark in study.benchmarks):
        for form in get_args(Form):
            found = [row["scores"][title][form] for row in rows if _has(row, title, form)]
            if found:
                scores.setdefault(title, {})[form] = _score_spreads(found, study.judge)
    costs = {key: spread([row[key] for row in rows]) for key in ("spike_rate", "synops", "macs")}
    energies = {
        key: {scope: {a: spread([row[key][scope][a] for row in rows]) for a in ARITHMETICS} for scope in SCOPES}
        for key in ("energy", "energy_encoder_once")
    }
    spiking = [row["twins"] for row in rows if row["twins"] is not None]
    twins = {twin: spread([values[twin] for values in spiking]) for twin in TWINS} if spiking else None
    return {"parameters": rows[0]["parameters"], "scores": scores, **costs, **energies, "twins": twins}


def _has(row: Mapping[str, Any], benchmark: str, form: str) -> bool:
    return form in row["scores"].get(benchmark, {})


def _score_spreads(found: Sequence[Mapping[str, Any]], judge: Judge) -> dict[str, Any]:
    keys = [figure.key for figure in judge.figures if all(f[figure.key] is not None for f in found)]
    parts = [f[judge.parts] for f in found]
    by_part = {
        name: spread([values[name] for values in parts])
        for name in parts[0]
        if all(values.get(name) is not None for values in parts)
    }
    return {**{key: spread([f[key] for f in found]) for key in keys}, judge.parts: by_part}


def still_figures(evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    """Scores of an answer that never changes, by benchmark."""
    return {one.benchmark.title: scores for one in evaluations if (scores := one.scores()) is not None}
