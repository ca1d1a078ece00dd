"""Whether a study's goals are met, each with what was found. What cannot be told yet is neither met nor missed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.experiments.study.config import AboveGoal, EnergyGoal, FixedBoxGoal, Goal, ParametersGoal, RatioGoal
from pipeline.planning.literature_energy import SCOPES

Models = Mapping[str, Any]
"""By label: ``seeds`` and ``summary``, as ``pipeline.experiments.study.figures`` makes them."""


class _MissingError(Exception):
    """A figure that is not there yet."""


def judge_goals(
    goals: Sequence[Goal], models: Models, fixed: Mapping[str, Any], benchmark: str
) -> list[dict[str, Any]]:
    """For each goal ``goal`` and ``found`` in words, and ``met``: True, False, or None where something is missing.

    benchmark: the one whose scores are meant where a goal does not say.
    """
    return [_judged(goal, models, fixed, benchmark) for goal in goals]


def _judged(goal: Goal, models: Models, fixed: Mapping[str, Any], benchmark: str) -> dict[str, Any]:
    try:
        if isinstance(goal, RatioGoal):
            return _ratio(goal, models, goal.benchmark or benchmark)
        if isinstance(goal, AboveGoal):
            return _above(goal, models, goal.benchmark or benchmark)
        if isinstance(goal, FixedBoxGoal):
            return _above_fixed_box(goal, models, fixed, goal.benchmark or benchmark)
        return _energy(goal, models) if isinstance(goal, EnergyGoal) else _parameters(goal, models)
    except _MissingError as missing:
        return {"goal": _words(goal), "met": None, "found": f"not told yet: {missing}"}


def _words(goal: Goal) -> str:
    if isinstance(goal, RatioGoal):
        return f"{goal.of} in integers has at least {goal.at_least:g} of {goal.to}'s {_figure(goal.figure)}{_on(goal)}"
    if isinstance(goal, AboveGoal):
        score = _figure(goal.figure)
        return f"{goal.of} has a {score} above {goal.to}'s by more than the spread over the seeds{_on(goal)}"
    if isinstance(goal, FixedBoxGoal):
        who, still = ", ".join(goal.of) or "every trained model", f"a box that never moves by {goal.margin:g} mean IoU"
        return f"{who}: above {still} on every sequence, with every seed{_on(goal)}"
    if isinstance(goal, EnergyGoal):
        return f"{goal.of} takes at most {goal.at_most:.1%} of the energy of {goal.to}, in both scopes"
    return f"{goal.of} has at least {goal.at_least:g} times fewer parameters than {goal.to}"


def _on(goal: RatioGoal | AboveGoal | FixedBoxGoal) -> str:
    return "" if goal.benchmark is None else f" ({goal.benchmark})"


def _figure(name: str) -> str:
    return {"mean_iou": "mean IoU"}.get(name, name)


def _summary(models: Models, label: str) -> Mapping[str, Any]:
    if label not in models:
        raise _MissingError(f"{label} is not trained")
    return dict(models[label]["summary"])


def _score(models: Models, label: str, benchmark: str, engines: Sequence[str], figure: str) -> Mapping[str, Any]:
    """The spread of a score, of the first of ``engines`` that the model has."""
    scores = _summary(models, label)["scores"].get(benchmark, {})
    for engine in engines:
        if engine in scores and figure in scores[engine]:
            return dict(scores[engine][figure])
    raise _MissingError(f"{label} is not evaluated on {benchmark}")


def _ratio(goal: RatioGoal, models: Models, benchmark: str) -> dict[str, Any]:
    ours = _score(models, goal.of, benchmark, ("integer",), goal.figure)
    theirs = _score(models, goal.to, benchmark, ("float",), goal.figure)
    value = ours["mean"] / theirs["mean"]
    found = f"{ours['mean']:.3f} of {theirs['mean']:.3f} is {value:.3f}{_other_seeds(ours, theirs)}"
    if by_seed := _ratios_by_seed(goal, models, benchmark):
        found += f"; seed by seed {', '.join(f'{ratio:.3f}' for ratio in by_seed)}"
    return {"goal": _words(goal), "met": value >= goal.at_least, "found": found, "value": value}


def _other_seeds(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    """Says so where means are not over as many seeds."""
    return "" if ours["n"] == theirs["n"] else f" (means over {ours['n']} and {theirs['n']} seeds)"


def _ratios_by_seed(goal: RatioGoal, models: Models, benchmark: str) -> list[float]:
    """Of the seeds that both have."""
    ours, theirs = (
        {seed: row["scores"].get(benchmark, {}).get(engine) for seed, row in models[label]["seeds"].items()}
        for label, engine in ((goal.of, "integer"), (goal.to, "float"))
    )
    return [ours[seed][goal.figure] / theirs[seed][goal.figure] for seed in ours if ours[seed] and theirs.get(seed)]


def _above(goal: AboveGoal, models: Models, benchmark: str) -> dict[str, Any]:
    ours, theirs = (_score(models, label, benchmark, ("integer", "float"), goal.figure) for label in (goal.of, goal.to))
    if min(ours["n"], theirs["n"]) < 2:
        raise _MissingError("one seed has no spread")
    gain = ours["mean"] - theirs["mean"]
    wide = max(one["max"] - one["min"] for one in (ours, theirs))
    deviations = ", ".join(f"{label} {one['std']:.3f}" for label, one in ((goal.of, ours), (goal.to, theirs)))
    found = (
        f"{ours['mean']:.3f} against {theirs['mean']:.3f}: {gain:+.3f}{_other_seeds(ours, theirs)}, and the wider "
        f"range over the seeds is {wide:.3f} (standard deviations: {deviations})"
    )
    return {"goal": _words(goal), "met": gain > wide, "found": found, "value": gain}


def _above_fixed_box(goal: FixedBoxGoal, models: Models, fixed: Mapping[str, Any], benchmark: str) -> dict[str, Any]:
    if benchmark not in fixed:
        raise _MissingError(f"a box that never moves is not evaluated on {benchmark}")
    still = fixed[benchmark]["sequences"]
    short: dict[str, dict[str, list[str]]] = {}  # by sequence and model
    open_, compared = [], 0
    for label in goal.of or models:
        _score(models, label, benchmark, ("integer", "float"), "mean_iou")
        for seed, row in models[label]["seeds"].items():
            scores = row["scores"].get(benchmark, {})
            followed = (scores.get("integer") or scores.get("float") or {}).get("sequences", {})
            open_ += [] if followed else [f"{label} seed {seed}"]
            for name, value in followed.items():
                compared += 1
                if value is None or value < still[name] + goal.margin:
                    short.setdefault(name, {}).setdefault(label, []).append(f"{value or 0:.2f} (seed {seed})")
    if not short and (open_ or not compared):
        raise _MissingError(f"{', '.join(open_) or 'nothing'} is not evaluated on {benchmark}")
    count = sum(len(ious) for by_model in short.values() for ious in by_model.values())
    found = f"{count} of {compared} are not. {_in_words(short, still)}" if short else f"all {compared} above"
    return {"goal": _words(goal), "met": not short, "found": found, "value": count}


def _in_words(short: Mapping[str, Mapping[str, Sequence[str]]], still: Mapping[str, float]) -> str:
    """Sequences on which models fall short, each with the overlaps by model."""
    lines = []
    for name, by_model in short.items():
        models = "; ".join(f"{label} {', '.join(ious)}" for label, ious in by_model.items())
        lines.append(f"{name}, still {still[name]:.2f}: {models}")
    return ". ".join(lines)


def _energy(goal: EnergyGoal, models: Models) -> dict[str, Any]:
    ours, theirs = _summary(models, goal.of), _summary(models, goal.to)
    ratios, once = (_energy_ratios(ours, theirs, key) for key in ("energy", "energy_encoder_once"))
    found = (
        f"{_scopes(ratios)}; with the encoder computed once a frame and held: {_scopes(once)} (32-bit floating point)"
    )
    return {"goal": _words(goal), "met": max(ratios.values()) <= goal.at_most, "found": found, "value": ratios}


def _energy_ratios(ours: Mapping[str, Any], theirs: Mapping[str, Any], key: str) -> dict[str, float]:
    """By scope."""
    return {scope: float(ours[key][scope]["fp32"]["mean"] / theirs[key][scope]["fp32"]["mean"]) for scope in SCOPES}


def _scopes(ratios: Mapping[str, float]) -> str:
    return ", ".join(f"{scope} {value:.1%}" for scope, value in ratios.items())


def _parameters(goal: ParametersGoal, models: Models) -> dict[str, Any]:
    ours, theirs = (_summary(models, label)["parameters"] for label in (goal.of, goal.to))
    found = f"{ours:,} of {theirs:,}: {theirs / ours:.1f} times fewer"
    return {"goal": _words(goal), "met": theirs / ours >= goal.at_least, "found": found, "value": theirs / ours}
