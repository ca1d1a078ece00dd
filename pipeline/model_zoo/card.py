"""A model's card: what it is, how it was made, what it scores, what it is not good for, and on what terms."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from netx.errors import MonospikeError
from netx.fingerprint import fingerprint
from pipeline.core.files import file_digest
from pipeline.core.judging import Judge
from pipeline.core.task import Task
from pipeline.model_zoo.data_terms import data_terms
from pipeline.models.parameters import parameter_count
from pipeline.report.markdown import in_words, table
from pipeline.tasks import DEFAULT, find_task, task_of
from pipeline.tasks.checkpoint import read_checkpoint


def make_card(name: str, checkpoint: Path, results: Mapping[str, Any] | None) -> dict[str, Any]:
    """The card as JSON values. results: of a study (results.json) that has judged this very checkpoint.

    Raises FormatError where the file holds no model, MonospikeError when the checkpoint is none of ``monospike train``,
    or the study has not judged it; QuantizeError or HeadroomError where it has no integers and should.
    """
    task = task_of(checkpoint)
    stored = read_checkpoint(checkpoint, task)
    if "training" not in stored.metadata:
        raise MonospikeError(f"{checkpoint}: does not say how it was trained; package what monospike train has made")
    model, training = stored.model(task), json.loads(stored.metadata["training"])
    digest, time_steps = file_digest(checkpoint), task.judge().time_steps(stored.architecture)
    return {
        "name": name,
        "task": task.name,
        "architecture": stored.architecture.model_dump(mode="json"),
        "parameters": parameter_count(model),
        "time_steps": time_steps,
        "sha256": digest,
        "fingerprint": fingerprint(task.network(checkpoint)) if time_steps == 1 else None,
        "seed": training["seed"],
        "steps": training["train"]["steps"],
        "batch": training["train"]["batch"],
        "losses": [term["kind"] for term in training["losses"] if term.get("weight", 1) != 0],
        "starts_from": {key: entry["weights"] for key, entry in training["models"].items() if entry.get("weights")},
        "data": data_terms(training["data"]),
        "versions": json.loads(stored.metadata.get("versions", "{}")),
        "validation": json.loads(stored.metadata.get("metrics", "{}")),
        "study": None if results is None else _judged(checkpoint, digest, results, task.judge()),
        "limits": list(task.limits),
    }


def _judged(checkpoint: Path, digest: str, results: Mapping[str, Any], judge: Judge) -> dict[str, Any]:
    """What a study found out about this checkpoint, and about its other seeds."""
    for label, model in results["models"].items():
        for seed, row in model["seeds"].items():
            if row["sha256"] != digest:
                continue
            scores = {
                benchmark: {e: {k: v for k, v in s.items() if k != judge.parts} for e, s in forms.items()}
                for benchmark, forms in row["scores"].items()
            }
            spreads = {
                benchmark: {engine: s[judge.main.key] for engine, s in forms.items()}
                for benchmark, forms in model["summary"]["scores"].items()
            }
            commands = [results["commands"]["study"]]
            commands += [c for c in results["commands"]["train"] if f"/{model['run']}/seed{seed}/" in c]
            kept = ("spike_rate", "synops", "macs", "energy")
            return {
                "label": label,
                "scores": scores,
                "over_seeds": spreads,
                judge.parts: {b: {e: s[judge.parts] for e, s in forms.items()} for b, forms in row["scores"].items()},
                "fixed_box": {benchmark: still[judge.parts] for benchmark, still in results["fixed"].items()},
                "cost": {key: row[key] for key in kept},
                "commands": commands,
            }
    raise MonospikeError(
        f"{checkpoint}: is none of the checkpoints that the results tell of ({', '.join(results['models'])}); "
        "evaluate it in the study first"
    )


def in_markdown(card: Mapping[str, Any]) -> str:
    """The card for people."""
    task, steps = _task(card), card["time_steps"]
    plural = "s" * (steps is not None and steps > 1)
    kind = f"{task.family}, not spiking" if steps is None else f"spiking {task.family} of {steps} time step{plural}"
    parts = [
        f"# {card['name']}",
        f"{kind}, {card['parameters']:,} parameters. Trained for {card['steps']} steps of {card['batch']} "
        f"{task.samples} from seed {card['seed']}; losses: {', '.join(card['losses'])}."
        + "".join(f" `{name}` started from `{path}`." for name, path in card["starts_from"].items()),
        *([f"The fingerprint of its integers is `{card['fingerprint']}`."] if card["fingerprint"] else []),
        "## Scores",
        *_scores(card, task.judge()),
        "## Made by",
        _commands(card),
        "## Training data and their terms",
        *(f"- {source['what']} (`{source['root']}`): {source['terms']}" for source in card["data"]),
        "Made from data for non-commercial research or without a stated licence, weights are meant for research alone.",
        "## Limits",
        *(f"- {line}" for line in card["limits"]),
        "## Versions",
        ", ".join(f"{name} {version}" for name, version in card["versions"].items()) + ".",
    ]
    return "\n\n".join(parts) + "\n"


def score_lines(card: Mapping[str, Any]) -> list[str]:
    """A line a benchmark and form, for lists: ``shared-test, integer: mean IoU 0.512``."""
    study, main = card["study"], _task(card).judge().main
    if study is None:
        validated = card["validation"].get(main.key)
        return [] if validated is None else [f"validation: {main.label} {validated:.3f}"]
    return [
        f"{benchmark}, {engine}: {main.label} {scores[main.key]:.3f}"
        for benchmark, forms in study["scores"].items()
        for engine, scores in forms.items()
    ]


def _task(card: Mapping[str, Any]) -> Task:
    """Cards of the first releases are of trackers, and say no task."""
    return find_task(card.get("task", DEFAULT))


def _scores(card: Mapping[str, Any], judge: Judge) -> list[str]:
    study = card["study"]
    if study is None:
        return [f"- {line}" for line in score_lines(card)] or ["None yet."]
    labels = [figure.label for figure in judge.figures]
    rows = [["benchmark", "form", *labels, f"{judge.main.label} over the seeds"]]
    for benchmark, forms in study["scores"].items():
        for engine, scores in forms.items():
            values = [_digits(scores[figure.key], 3) for figure in judge.figures]
            rows.append([benchmark, engine, *values, in_words(study["over_seeds"][benchmark][engine])])
    energy = study["cost"]["energy"]["full"]
    did = study["cost"]
    cost = (
        f"{judge.frame}: spike rate {did['spike_rate']:.1%}, {did['synops'] / 1e6:.1f} M synaptic operations, "
        f"{did['macs'] / 1e6:.1f} M multiply-accumulates; {energy['fp32'] * 1e6:.1f} µJ in 32-bit floating point, "
        f"{energy['int8'] * 1e6:.1f} µJ in 8-bit integers (reckoned, 45 nm, operations alone)."
    )
    return [table(rows), *_parts(study, judge), cost]


def _parts(study: Mapping[str, Any], judge: Judge) -> list[str]:
    """A table a benchmark: the main figure of each part, beside that of an answer that never changes."""
    tables = []
    for benchmark, forms in study[judge.parts].items():
        still: Mapping[str, float] = study["fixed_box"].get(benchmark, {})
        words = [judge.still.words] if still and judge.still is not None else []
        rows: list[Sequence[str]] = [[judge.part, *words, *forms]]
        for name in still or next(iter(forms.values()), {}):
            values = [scores.get(name) for scores in forms.values()]
            if words or any(value is not None for value in values):
                rows.append([name, *([_digits(still[name], 2)] if words else []), *(_digits(v, 2) for v in values)])
        tables += [f"{judge.main.label} of each {judge.part}, {benchmark}:", table(rows)]
    return tables


def _digits(value: float | None, count: int) -> str:
    return "–" if value is None else f"{value:.{count}f}"


def _commands(card: Mapping[str, Any]) -> str:
    lines = card["study"]["commands"] if card["study"] else ["monospike train CONFIG"]
    return "```\n" + "\n".join(lines) + "\n```"
