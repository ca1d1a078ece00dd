"""Whether a study's goals are met, each with what was found. What cannot be told yet is neither met nor missed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.core.judging import Judge
from pipeline.experiments.study.config import (
    AboveGoal,
    EnergyGoal,
    Goal,
    ParametersGoal,
    RatioGoal,
    RoundingGoal,
    SpikeRateGoal,
    StillGoal,
)
from pipeline.planning.literature_energy import SCOPES

Verdict = tuple[bool, str, Any]
"""Whether a goal is met, what was found in words, and the value that decides."""


class _MissingError(Exception):
    """A figure that is not there yet."""


@dataclass(frozen=True)
class Found:
    """What a study has found by now.

    models: by label, ``seeds`` and ``summary``, as ``pipeline.experiments.study.figures`` makes them. fixed: by
    benchmark, scores of an answer that never changes. benchmark: whose scores are meant where a goal does not say.
    """

    judge: Judge
    models: Mapping[str, Any]
    fixed: Mapping[str, Any]
    benchmark: str

    def summary(self, label: str) -> Mapping[str, Any]:
        """Spreads over the seeds."""
        if label not in self.models:
            raise _MissingError(f"{label} is not trained")
        return dict(self.models[label]["summary"])

    def score(self, label: str, benchmark: str, forms: Sequence[str], figure: str) -> Mapping[str, Any]:
        """The spread of a score, of the first of ``forms`` that the model has."""
        scores = self.summary(label)["scores"].get(benchmark, {})
        for form in forms:
            if form in scores and figure in scores[form]:
                return dict(scores[form][figure])
        raise _MissingError(f"{label} is not evaluated on {benchmark}")

    def by_seed(self, label: str, benchmark: str, form: str, figure: str) -> dict[str, float]:
        """A score with each seed that has one."""
        found = {seed: row["scores"].get(benchmark, {}).get(form) for seed, row in self.models[label]["seeds"].items()}
        return {seed: scores[figure] for seed, scores in found.items() if scores and scores[figure] is not None}


def judge_goals(goals: Sequence[Goal], found: Found) -> list[dict[str, Any]]:
    """For each goal ``goal`` and ``found`` in words, and ``met``: True, False, or None where something is missing."""
    return [_judged(goal, found) for goal in goals]


def _judged(goal: Goal, found: Found) -> dict[str, Any]:
    words, judged = _KINDS[type(goal)]
    said = words(goal, found.judge) + _on(goal)
    try:
        met, text, value = judged(goal, found)
    except _MissingError as missing:
        return {"goal": said, "met": None, "found": f"not told yet: {missing}"}
    return {"goal": said, "met": met, "found": text, "value": value}


def _on(goal: Goal) -> str:
    benchmark = getattr(goal, "benchmark", None)
    return "" if benchmark is None else f" ({benchmark})"


def _figure(goal: Any, judge: Judge) -> str:
    return judge.figure(goal.figure).label


def _ratio_words(goal: RatioGoal, judge: Judge) -> str:
    return f"{goal.of} in integers has at least {goal.at_least:g} of {goal.to}'s {_figure(goal, judge)}"


def _ratio(goal: RatioGoal, found: Found) -> Verdict:
    benchmark, figure = goal.benchmark or found.benchmark, found.judge.figure(goal.figure).key
    ours = found.score(goal.of, benchmark, ("integer",), figure)
    theirs = found.score(goal.to, benchmark, ("float",), figure)
    if not theirs["mean"]:
        raise _MissingError(f"{goal.to} has 0, of which nothing is a share")
    value = ours["mean"] / theirs["mean"]
    text = f"{ours['mean']:.3f} of {theirs['mean']:.3f} is {value:.3f}{_other_seeds(ours, theirs)}"
    our_seeds = found.by_seed(goal.of, benchmark, "integer", figure)
    their_seeds = found.by_seed(goal.to, benchmark, "float", figure)
    by_seed = [our_seeds[seed] / their_seeds[seed] for seed in our_seeds if their_seeds.get(seed)]
    if by_seed:
        text += f"; seed by seed {', '.join(f'{ratio:.3f}' for ratio in by_seed)}"
    return value >= goal.at_least, text, value


def _other_seeds(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    """Says so where means are not over as many seeds."""
    return "" if ours["n"] == theirs["n"] else f" (means over {ours['n']} and {theirs['n']} seeds)"


def _above_words(goal: AboveGoal, judge: Judge) -> str:
    least = "" if goal.at_least is None else f"at least {goal.at_least:g} and by "
    return f"{goal.of} has a {_figure(goal, judge)} above {goal.to}'s by {least}more than the spread over the seeds"


def _above(goal: AboveGoal, found: Found) -> Verdict:
    benchmark, figure = goal.benchmark or found.benchmark, found.judge.figure(goal.figure).key
    ours, theirs = (found.score(label, benchmark, ("integer", "float"), figure) for label in (goal.of, goal.to))
    if min(ours["n"], theirs["n"]) < 2:
        raise _MissingError("one seed has no spread")
    gain = ours["mean"] - theirs["mean"]
    wide = max(one["max"] - one["min"] for one in (ours, theirs))
    deviations = ", ".join(f"{label} {one['std']:.3f}" for label, one in ((goal.of, ours), (goal.to, theirs)))
    text = (
        f"{ours['mean']:.3f} against {theirs['mean']:.3f}: {gain:+.3f}{_other_seeds(ours, theirs)}, and the wider "
        f"range over the seeds is {wide:.3f} (standard deviations: {deviations})"
    )
    return gain > wide and gain >= (goal.at_least or 0), text, gain


def _rounding_words(goal: RoundingGoal, judge: Judge) -> str:
    what = f"{goal.of} in integers is within {goal.within:g} {_figure(goal, judge)} of itself in real values"
    return f"{what}, with every seed"


def _rounding(goal: RoundingGoal, found: Found) -> Verdict:
    benchmark, figure = goal.benchmark or found.benchmark, found.judge.figure(goal.figure).key
    for form in ("integer", "float"):
        found.score(goal.of, benchmark, (form,), figure)
    integers, floats = (found.by_seed(goal.of, benchmark, form, figure) for form in ("integer", "float"))
    differences = {seed: value - floats[seed] for seed, value in integers.items() if seed in floats}
    if not differences:
        raise _MissingError(f"{goal.of} is not evaluated in both forms on {benchmark}")
    worst = max(map(abs, differences.values()))
    text = f"integers less real values: {', '.join(f'{value:+.4f} (seed {s})' for s, value in differences.items())}"
    if worst <= goal.within:
        _wants_all_seeds(found, goal.of, differences, f"in both forms on {benchmark}")
    return worst <= goal.within, text, worst


def _wants_all_seeds(found: Found, label: str, there: Mapping[str, Any], how: str) -> None:
    if open_ := [seed for seed in found.models[label]["seeds"] if seed not in there]:
        raise _MissingError(f"{label} seed {', '.join(open_)} is not evaluated {how}")


def _still_words(goal: StillGoal, judge: Judge) -> str:
    assert judge.still is not None, "the configuration has been checked"
    who, still = ", ".join(goal.of) or "every trained model", f"{judge.still.words} by {goal.margin:g}"
    return f"{who}: above {still} {judge.main.label} on every {judge.part}, with every seed"


def _above_still(goal: StillGoal, found: Found) -> Verdict:
    judge, benchmark = found.judge, goal.benchmark or found.benchmark
    assert judge.still is not None, "the configuration has been checked"
    if benchmark not in found.fixed:
        raise _MissingError(f"{judge.still.words} is not evaluated on {benchmark}")
    still = found.fixed[benchmark][judge.parts]
    short: dict[str, dict[str, list[str]]] = {}  # by part and model
    open_, compared = [], 0
    for label in goal.of or found.models:
        found.score(label, benchmark, ("integer", "float"), judge.main.key)
        for seed, row in found.models[label]["seeds"].items():
            scores = row["scores"].get(benchmark, {})
            parts = (scores.get("integer") or scores.get("float") or {}).get(judge.parts, {})
            open_ += [] if parts else [f"{label} seed {seed}"]
            for name, value in parts.items():
                compared += 1
                if value is None or value < still[name] + goal.margin:
                    short.setdefault(name, {}).setdefault(label, []).append(f"{value or 0:.2f} (seed {seed})")
    if not short and (open_ or not compared):
        raise _MissingError(f"{', '.join(open_) or 'nothing'} is not evaluated on {benchmark}")
    count = sum(len(values) for by_model in short.values() for values in by_model.values())
    text = f"{count} of {compared} are not. {_in_words(short, still)}" if short else f"all {compared} above"
    return not short, text, count


def _in_words(short: Mapping[str, Mapping[str, Sequence[str]]], still: Mapping[str, float]) -> str:
    """Parts on which models fall short, each with the scores by model."""
    lines = []
    for name, by_model in short.items():
        models = "; ".join(f"{label} {', '.join(values)}" for label, values in by_model.items())
        lines.append(f"{name}, still {still[name]:.2f}: {models}")
    return ". ".join(lines)


def _energy_words(goal: EnergyGoal, _: Judge) -> str:
    return f"{goal.of} takes at most {goal.at_most:.1%} of the energy of {goal.to}, in both scopes"


def _energy(goal: EnergyGoal, found: Found) -> Verdict:
    ours, theirs = found.summary(goal.of), found.summary(goal.to)
    ratios, once = (_energy_ratios(ours, theirs, key) for key in ("energy", "energy_encoder_once"))
    text = _scopes(ratios)
    if any((found.models[label].get("time_steps") or 1) > 1 for label in (goal.of, goal.to)):
        text += f"; with the encoder computed once a frame and held: {_scopes(once)}"
    return max(ratios.values()) <= goal.at_most, f"{text} (32-bit floating point)", ratios


def _energy_ratios(ours: Mapping[str, Any], theirs: Mapping[str, Any], key: str) -> dict[str, float]:
    """By scope."""
    return {scope: float(ours[key][scope]["fp32"]["mean"] / theirs[key][scope]["fp32"]["mean"]) for scope in SCOPES}


def _scopes(ratios: Mapping[str, float]) -> str:
    return ", ".join(f"{scope} {value:.1%}" for scope, value in ratios.items())


def _parameters_words(goal: ParametersGoal, _: Judge) -> str:
    return f"{goal.of} has at least {goal.at_least:g} times fewer parameters than {goal.to}"


def _parameters(goal: ParametersGoal, found: Found) -> Verdict:
    ours, theirs = (found.summary(label)["parameters"] for label in (goal.of, goal.to))
    return theirs / ours >= goal.at_least, f"{ours:,} of {theirs:,}: {theirs / ours:.1f} times fewer", theirs / ours


def _spike_rate_words(goal: SpikeRateGoal, _: Judge) -> str:
    return f"at most {goal.at_most:.1%} of {goal.of}'s neurons spike, with every seed"


def _spike_rate(goal: SpikeRateGoal, found: Found) -> Verdict:
    spread = found.summary(goal.of)["spike_rate"]
    if found.models[goal.of]["time_steps"] is None:
        raise _MissingError(f"{goal.of} has no neurons that spike")
    text = f"{spread['mean']:.1%} on average, {spread['max']:.1%} with the seed that has most"
    return spread["max"] <= goal.at_most, text, spread["max"]


_KINDS: Mapping[type, tuple[Callable[[Any, Judge], str], Callable[[Any, Found], Verdict]]] = {
    RatioGoal: (_ratio_words, _ratio),
    AboveGoal: (_above_words, _above),
    RoundingGoal: (_rounding_words, _rounding),
    StillGoal: (_still_words, _above_still),
    EnergyGoal: (_energy_words, _energy),
    ParametersGoal: (_parameters_words, _parameters),
    SpikeRateGoal: (_spike_rate_words, _spike_rate),
}
