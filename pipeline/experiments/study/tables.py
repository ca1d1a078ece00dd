"""The results of a study as Markdown: what docs/results.md is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp
from typing import Any

from pipeline.experiments.study.accounting import accounting_rows
from pipeline.planning.literature_energy import prices
from pipeline.report.markdown import in_words, table
from pipeline.tasks.tracking.metrics.single_frame import RESIZED, SHIFT

Results = Mapping[str, Any]
"""What ``pipeline.study.results`` gathers."""

VERDICTS = {True: "met", False: "NOT met", None: "open"}


def markdown(results: Results) -> str:
    """The whole document."""
    parts = [
        f"# {results['config']['name']}",
        f"Made by `{results['commands']['study']}`; seeds {', '.join(map(str, results['seeds']))}. Values are means "
        "over the seeds, with the standard deviation of the sample and, in brackets, the smallest and the largest. No "
        "training reads from a benchmark's folder: a study that does is refused.",
        "## Goals",
        *goal_lines(results["goals"]),
    ]
    if results["missing"]:
        parts += ["## Not there", *(f"- {line}" for line in results["missing"])]
    for benchmark in results["benchmarks"]:
        parts += [f"## {benchmark}", benchmark_words(results, benchmark), table(score_rows(results, benchmark))]
        if rows := ablation_rows(results, benchmark):
            parts += ["### Ablation of the losses", ABLATION, table(rows)]
        if rows := sequence_rows(results, benchmark):
            parts += ["### Mean IoU of each sequence", _SEQUENCES, table(rows)]
    parts += ["## Cost of a frame", _cost_words(results), table(cost_rows(results))]
    if rows := accounting_rows(results["models"], results["config"]["goals"]):
        parts += ["### By the accounting of S4-KD", ACCOUNTING, table(rows)]
    parts += ["## Commands", _commands(results), "## Versions", _versions(results)]
    return "\n\n".join(parts) + "\n"


ABLATION = (
    "Integer networks. A row of one seed has no spread of its own: hold its differences against those between the "
    "seeds of one model, above."
)

ACCOUNTING = (
    "The same energies side by side. The published share is of S4-KD's abstract (Neural Networks 188:107478), which "
    "does not say what it counts, so it stands beside both scopes."
)

_SEQUENCES = (
    "Means over the seeds; of the integer network where there is one, else of the float model. *fixed* is a box that "
    "never moves."
)


def benchmark_words(results: Results, benchmark: str) -> str:
    """How models are judged there."""
    entry = results["config"]["benchmarks"][results["benchmarks"].index(benchmark)]
    if entry["single_frame"]:
        return (
            f"Single-frame evaluation: from each of {entry['starts']} frames of a sequence a template is taken, and "
            f"{entry['single_frame']} frames of the whole sequence are searched for it, each around a box near the "
            f"true one: up to {SHIFT:g} target size off along each axis, and larger or smaller by a factor of up to "
            f"{exp(RESIZED):.2f}. No error reaches the next frame."
        )
    if entry["starts"] == 1:
        return "Each sequence is followed once, from its first frame."
    return (
        f"Each sequence is followed from {entry['starts']} frames spread evenly from its first to its last, always to "
        "the end that is farther away, forwards or backwards in time. Scores are means over these runs, so that a "
        "single loss of the object decides less."
    )


def goal_lines(goals: Sequence[Mapping[str, Any]]) -> list[str]:
    """One item a goal."""
    return [f"- **{VERDICTS[goal['met']]}**: {goal['goal']}. Found: {goal['found']}." for goal in goals]


def score_rows(results: Results, benchmark: str) -> list[list[str]]:
    """Every model in both forms, with a header; a box that never moves last."""
    rows = [["model", "form", "mean IoU", "success", "precision", "seeds"]]
    for label, model in results["models"].items():
        for engine, scores in model["summary"]["scores"].get(benchmark, {}).items():
            values = [in_words(scores.get(figure)) for figure in ("mean_iou", "success", "precision")]
            rows.append([label, engine, *values, str(scores["mean_iou"]["n"])])
    still = results["fixed"].get(benchmark)
    if still:
        rows.append(["fixed", "", *(f"{still[figure]:.3f}" for figure in ("mean_iou", "success", "precision")), ""])
    return rows


def ablation_rows(results: Results, benchmark: str) -> list[list[str]]:
    """Nothing, parts and all of the distillation, with the difference to all and to nothing; with a header."""
    ablation = results["config"]["ablation"]
    if ablation is None:
        return []
    named = {ablation["without"]: "no distillation", **ablation["rows"], ablation["whole"]: "all"}
    means = {label: _integer_iou(results, label, benchmark) for label in named}
    none, whole = means[ablation["without"]], means[ablation["whole"]]
    rows = [["losses", "run", "mean IoU", "over no distillation", "over all"]]
    for label, what in named.items():
        found = means[label]
        differences = [
            "–" if found is None or o is None else f"{found['mean'] - o['mean']:+.3f}" for o in (none, whole)
        ]
        rows.append([what, label, in_words(found), *differences])
    return rows


def _integer_iou(results: Results, label: str, benchmark: str) -> Mapping[str, Any] | None:
    model = results["models"].get(label)
    scores = model["summary"]["scores"].get(benchmark, {}).get("integer") if model else None
    return scores["mean_iou"] if scores else None


def sequence_rows(results: Results, benchmark: str) -> list[list[str]]:
    """Sequences by models, with a header."""
    still = results["fixed"].get(benchmark)
    shown = {}
    for label, model in results["models"].items():
        scores = model["summary"]["scores"].get(benchmark, {})
        if found := scores.get("integer") or scores.get("float"):
            shown[label] = found["sequences"]
    if not still or not shown:
        return []
    rows = [["sequence", "fixed", *shown]]
    for name, value in still["sequences"].items():
        means = [f"{values[name]['mean']:.2f}" if name in values else "–" for values in shown.values()]
        rows.append([name, f"{value:.2f}", *means])
    return rows


def cost_rows(results: Results) -> list[list[str]]:
    """Size, activity and energy of every model, with a header."""
    rows = [
        [
            "model", "parameters", "spike rate", "synops", "MACs",
            "backbone, fp32", "full, fp32", "backbone, int8", "full, int8",
        ]
    ]  # fmt: skip
    for label, model in results["models"].items():
        summary = model["summary"]
        energies = [summary["energy"][s][a]["mean"] for a in ("fp32", "int8") for s in ("backbone", "full")]
        rate = f"{summary['spike_rate']['mean']:.1%}" if summary["spike_rate"]["mean"] else "–"
        counts = [f"{summary[key]['mean'] / 1e6:.1f} M" for key in ("synops", "macs")]
        rows.append([label, f"{summary['parameters']:,}", rate, *counts, *(f"{e * 1e6:.1f} µJ" for e in energies)])
    return rows


def _cost_words(results: Results) -> str:
    fp32, int8 = prices("fp32"), prices("int8")
    return (
        f"Of the search branch, which runs at every frame, on frames of {results['benchmarks'][0]}. Energy by the "
        f"literature's rule: {fp32.mac:g} pJ a multiply-accumulate and {fp32.add:g} pJ a synaptic operation in 32-bit "
        f"floating point, {int8.mac:g} and {int8.add:g} pJ in 8-bit integers (45 nm; sim/hardware names the sources); "
        "no memory, no neuron updates, nothing static. *Backbone* is the five convolutions, *full* adds neck, "
        "correlation and head. The encoder's multiply-accumulates count at every time step."
    )


def _commands(results: Results) -> str:
    """That of the study, and folded away those that it runs."""
    commands = results["commands"]
    steps = [*commands["train"], *commands["evaluate"]]
    return (
        f"```\n{commands['study']}\n```\n\n<details><summary>the {len(steps)} commands it runs</summary>\n\n"
        + "\n".join(["```", *steps, "```"])
        + "\n\n</details>"
    )


def _versions(results: Results) -> str:
    return ", ".join(f"{name} {version}" for name, version in results["versions"].items()) + "."
