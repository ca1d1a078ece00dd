"""A model's card: what it is, how it was made, what it scores, what it is not good for, and on what terms."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from netx.errors import MonospikeError
from netx.fingerprint import fingerprint
from pipeline.core.files import file_digest
from pipeline.model_zoo.data_terms import data_terms
from pipeline.models.parameters import parameter_count
from pipeline.models.safetensors_file import read_metadata
from pipeline.report.markdown import in_words, table
from pipeline.tasks.tracking.checkpoint import Model
from pipeline.tasks.tracking.models.spiking import SpikingSiamFCpp
from pipeline.tasks.tracking.models.to_network import to_network

_LIMITS = (
    "It has seen little data: it follows one object over short sequences, and loses it where better trackers don't.",
    "It takes no step when the object leaves the picture: it goes on answering with a box.",
    "Scores are of the sequences named here; of others nothing is known.",
)


def make_card(name: str, checkpoint: Path, model: Model, results: Mapping[str, Any] | None) -> dict[str, Any]:
    """The card as JSON values. results: of a study (results.json) that has judged this very checkpoint.

    Raises MonospikeError when the checkpoint is none of ``monospike train``, or the study has not judged it;
    QuantizeError or HeadroomError where it has no integers and should.
    """
    metadata = read_metadata(checkpoint)
    if "training" not in metadata:
        raise MonospikeError(f"{checkpoint}: does not say how it was trained; package what monospike train has made")
    training = json.loads(metadata["training"])
    digest = file_digest(checkpoint)
    return {
        "name": name,
        "architecture": model.config.model_dump(mode="json"),
        "parameters": parameter_count(model),
        "time_steps": model.time_steps if isinstance(model, SpikingSiamFCpp) else None,
        "sha256": digest,
        "fingerprint": _fingerprint(model),
        "seed": training["seed"],
        "steps": training["train"]["steps"],
        "batch": training["train"]["batch"],
        "losses": [term["kind"] for term in training["losses"] if term.get("weight", 1) != 0],
        "starts_from": {key: entry["weights"] for key, entry in training["models"].items() if entry.get("weights")},
        "data": data_terms(training["data"]),
        "versions": json.loads(metadata.get("versions", "{}")),
        "validation": json.loads(metadata.get("metrics", "{}")),
        "study": None if results is None else _judged(checkpoint, digest, results),
        "limits": list(_LIMITS),
    }


def _fingerprint(model: Model) -> str | None:
    """That of the model's integers, which are made of its weights wherever they are wanted; None where it has none."""
    if not isinstance(model, SpikingSiamFCpp) or model.time_steps != 1:
        return None
    return fingerprint(to_network(model))


def _judged(checkpoint: Path, digest: str, results: Mapping[str, Any]) -> dict[str, Any]:
    """What a study found out about this checkpoint, and about its other seeds."""
    for label, model in results["models"].items():
        for seed, row in model["seeds"].items():
            if row["sha256"] != digest:
                continue
            scores = {
                benchmark: {e: {k: v for k, v in s.items() if k != "sequences"} for e, s in forms.items()}
                for benchmark, forms in row["scores"].items()
            }
            spreads = {
                benchmark: {engine: s["mean_iou"] for engine, s in forms.items()}
                for benchmark, forms in model["summary"]["scores"].items()
            }
            commands = [results["commands"]["study"]]
            commands += [c for c in results["commands"]["train"] if f"/{model['run']}/seed{seed}/" in c]
            kept = ("spike_rate", "synops", "macs", "energy")
            return {
                "label": label,
                "scores": scores,
                "over_seeds": spreads,
                "sequences": {b: {e: s["sequences"] for e, s in forms.items()} for b, forms in row["scores"].items()},
                "fixed_box": {benchmark: still["sequences"] for benchmark, still in results["fixed"].items()},
                "cost": {key: row[key] for key in kept},
                "commands": commands,
            }
    raise MonospikeError(
        f"{checkpoint}: is none of the checkpoints that the results tell of ({', '.join(results['models'])}); "
        "evaluate it in the study first"
    )


def in_markdown(card: Mapping[str, Any]) -> str:
    """The card for people."""
    steps = card["time_steps"]
    kind = "SiamFC++, not spiking" if steps is None else f"spiking SiamFC++ of {steps} time step{'s' * (steps > 1)}"
    parts = [
        f"# {card['name']}",
        f"{kind}, {card['parameters']:,} parameters. Trained for {card['steps']} steps of {card['batch']} pairs from "
        f"seed {card['seed']}; losses: {', '.join(card['losses'])}."
        + "".join(f" `{name}` started from `{path}`." for name, path in card["starts_from"].items()),
        *([f"The fingerprint of its integers is `{card['fingerprint']}`."] if card["fingerprint"] else []),
        "## Scores",
        *_scores(card),
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
    study = card["study"]
    if study is None:
        validated = card["validation"].get("mean_iou")
        return [] if validated is None else [f"validation: mean IoU {validated:.3f}"]
    return [
        f"{benchmark}, {engine}: mean IoU {scores['mean_iou']:.3f}"
        for benchmark, forms in study["scores"].items()
        for engine, scores in forms.items()
    ]


def _scores(card: Mapping[str, Any]) -> list[str]:
    study = card["study"]
    if study is None:
        return [f"- {line}" for line in score_lines(card)] or ["None yet."]
    rows = [["benchmark", "form", "mean IoU", "success", "precision", "mean IoU over the seeds"]]
    for benchmark, forms in study["scores"].items():
        for engine, scores in forms.items():
            values = [f"{scores[key]:.3f}" for key in ("mean_iou", "success", "precision")]
            rows.append([benchmark, engine, *values, in_words(study["over_seeds"][benchmark][engine])])
    energy = study["cost"]["energy"]["full"]
    did = study["cost"]
    cost = (
        f"A search frame: spike rate {did['spike_rate']:.1%}, {did['synops'] / 1e6:.1f} M synaptic operations, "
        f"{did['macs'] / 1e6:.1f} M multiply-accumulates; {energy['fp32'] * 1e6:.1f} µJ in 32-bit floating point, "
        f"{energy['int8'] * 1e6:.1f} µJ in 8-bit integers (reckoned, 45 nm, operations alone)."
    )
    return [table(rows), *_sequences(study), cost]


def _sequences(study: Mapping[str, Any]) -> list[str]:
    """A table a benchmark: mean IoU of each sequence beside that of a box that never moves."""
    tables = []
    for benchmark, forms in study["sequences"].items():
        still: Mapping[str, float] = study["fixed_box"].get(benchmark, {})
        rows: list[Sequence[str]] = [["sequence", "a box that never moves", *forms]]
        for name, value in still.items():
            rows.append([name, f"{value:.2f}", *(_two_digits(followed.get(name)) for followed in forms.values())])
        tables.append(table(rows))
    return tables


def _two_digits(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _commands(card: Mapping[str, Any]) -> str:
    lines = card["study"]["commands"] if card["study"] else ["monospike train CONFIG"]
    return "```\n" + "\n".join(lines) + "\n```"
