"""The results of a study as Markdown: what docs/results.md is made from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.core.judging import Judge
from pipeline.experiments.study.accounting import accounting_rows
from pipeline.planning.literature_energy import TWINS, prices
from pipeline.report.markdown import in_words, table

Results = Mapping[str, Any]
"""What ``pipeline.study.results`` gathers."""

VERDICTS = {True: "met", False: "NOT met", None: "open"}


def markdown(results: Results, judge: Judge) -> str:
    """The whole document. judge: of the study's task, as everywhere here."""
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
        words, scores = benchmark_words(results, judge, benchmark), score_rows(results, judge, benchmark)
        parts += [f"## {benchmark}", words, table(scores)]
        if rows := ablation_rows(results, judge, benchmark):
            parts += ["### Ablation of the losses", ABLATION, table(rows)]
        if rows := part_rows(results, judge, benchmark):
            parts += [f"### {part_title(judge)}", _part_words(judge), table(rows)]
    parts += ["## Cost of a frame", cost_words(results, judge), table(cost_rows(results))]
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


def part_title(judge: Judge) -> str:
    """Of the table of sequences, or of classes."""
    first, *others = judge.main.label.split()
    return " ".join([first.capitalize() if first.islower() else first, *others, "of each", judge.part])


def _part_words(judge: Judge) -> str:
    words = "Means over the seeds; of the integer network where there is one, else of the float model."
    return words if judge.still is None else f"{words} *{judge.still.model}* is {judge.still.words}."


def benchmark_words(results: Results, judge: Judge, benchmark: str) -> str:
    """How models are judged there."""
    entry = results["config"]["benchmarks"][results["benchmarks"].index(benchmark)]
    return judge.words(judge.benchmark_type.model_validate_json(json.dumps(entry)))


def goal_lines(goals: Sequence[Mapping[str, Any]]) -> list[str]:
    """One item a goal."""
    return [f"- **{VERDICTS[goal['met']]}**: {goal['goal']}. Found: {goal['found']}." for goal in goals]


def score_rows(results: Results, judge: Judge, benchmark: str) -> list[list[str]]:
    """Every model in both forms, with a header; an answer that never changes last."""
    keys = [figure.key for figure in judge.figures]
    rows = [["model", "form", *(figure.label for figure in judge.figures), "seeds"]]
    for label, model in results["models"].items():
        for form, scores in model["summary"]["scores"].get(benchmark, {}).items():
            seeds = sum(form in row["scores"].get(benchmark, {}) for row in model["seeds"].values())
            rows.append([label, form, *(in_words(scores.get(key)) for key in keys), str(seeds)])
    still = results["fixed"].get(benchmark)
    if still and judge.still:
        rows.append([judge.still.model, "", *(f"{still[key]:.3f}" for key in keys), ""])
    return rows


def ablation_rows(results: Results, judge: Judge, benchmark: str) -> list[list[str]]:
    """Nothing, parts and all of the distillation, with the difference to all and to nothing; with a header."""
    ablation = results["config"]["ablation"]
    if ablation is None:
        return []
    named = {ablation["without"]: "no distillation", **ablation["rows"], ablation["whole"]: "all"}
    means = {label: _integer_score(results, label, benchmark, judge) for label in named}
    none, whole = means[ablation["without"]], means[ablation["whole"]]
    rows = [["losses", "run", judge.main.label, "over no distillation", "over all"]]
    for label, what in named.items():
        found = means[label]
        differences = [
            "–" if found is None or o is None else f"{found['mean'] - o['mean']:+.3f}" for o in (none, whole)
        ]
        rows.append([what, label, in_words(found), *differences])
    return rows


def _integer_score(results: Results, label: str, benchmark: str, judge: Judge) -> Mapping[str, Any] | None:
    model = results["models"].get(label)
    scores = model["summary"]["scores"].get(benchmark, {}).get("integer") if model else None
    return scores.get(judge.main.key) if scores else None


def shown_parts(results: Results, judge: Judge, benchmark: str) -> dict[str, Mapping[str, Any]]:
    """By model, then by part, spreads: of the integers where there are any."""
    shown = {}
    for label, model in results["models"].items():
        scores = model["summary"]["scores"].get(benchmark, {})
        if found := scores.get("integer") or scores.get("float"):
            shown[label] = found[judge.parts]
    return shown


def part_rows(results: Results, judge: Judge, benchmark: str) -> list[list[str]]:
    """Sequences, or classes, by models, with a header; none where an answer that never changes is to come."""
    shown = shown_parts(results, judge, benchmark)
    still = results["fixed"].get(benchmark)
    if not shown or (judge.still and not still):
        return []
    names = dict.fromkeys(name for values in ([still[judge.parts]] if still else shown.values()) for name in values)
    rows = [[judge.part, *([judge.still.model] if judge.still else []), *shown]]
    for name in names:
        means = [f"{values[name]['mean']:.2f}" if name in values else "–" for values in shown.values()]
        rows.append([name, *([f"{still[judge.parts][name]:.2f}"] if still else []), *means])
    return rows


def cost_rows(results: Results) -> list[list[str]]:
    """Size, activity and energy of every model, with a header."""
    rows = [
        [
            "model", "parameters", "spike rate", "synops", "MACs",
            "backbone, fp32", "full, fp32", "backbone, int8", "full, int8", "int8 twin", "1-bit twin",
        ]
    ]  # fmt: skip
    for label, model in results["models"].items():
        summary = model["summary"]
        energies = [summary["energy"][s][a]["mean"] for a in ("fp32", "int8") for s in ("backbone", "full")]
        rate = f"{summary['spike_rate']['mean']:.1%}" if summary["spike_rate"]["mean"] else "–"
        counts = [f"{summary[key]['mean'] / 1e6:.1f} M" for key in ("synops", "macs")]
        twins = summary["twins"] and [summary["twins"][twin]["mean"] for twin in TWINS]
        joules = [f"{e * 1e6:.1f} µJ" for e in (*energies, *(twins or ()))] + ([] if twins else ["–"] * len(TWINS))
        rows.append([label, f"{summary['parameters']:,}", rate, *counts, *joules])
    return rows


def cost_words(results: Results, judge: Judge) -> str:
    """What the costs are of."""
    fp32, int8 = prices("fp32"), prices("int8")
    return (
        f"{judge.frame}, on frames of {results['benchmarks'][0]}. Energy by the "
        f"literature's rule: {fp32.mac:g} pJ a multiply-accumulate and {fp32.add:g} pJ a synaptic operation in 32-bit "
        f"floating point, {int8.mac:g} and {int8.add:g} pJ in 8-bit integers (45 nm; sim/hardware names the sources); "
        f"no memory, no neuron updates, nothing static. {judge.scopes} "
        "The encoder's multiply-accumulates count at every time step. *Twins* are networks of the same layers that do "
        "not spike and see a frame once, with 8-bit weights: every connection is a multiply-accumulate of 8-bit "
        "activations, or behind the first layer an addition where an activation is one bit."
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
