"""A whole search: every candidate evaluated once, and what they come to. Stopped, it goes on where it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from netx.errors import MonospikeError
from netx.files import write_whole
from pipeline.core.config import ConfigError
from pipeline.core.files import file_digest, write_json
from pipeline.core.progress import Progress
from pipeline.core.provenance import code_digest, versions
from pipeline.core.workers import Workers, call_all
from pipeline.datasets.dataset import make_sequences
from pipeline.experiments.dse.candidate import Variant, evaluate, variants
from pipeline.experiments.dse.config import Objective, SearchConfig
from pipeline.experiments.dse.front import front
from pipeline.experiments.dse.page import render
from pipeline.experiments.dse.results import PAGE, save_results
from pipeline.model_zoo.names import checkpoint_path
from pipeline.planning.plan import chip_name
from sim.energy import load_profile
from sim.hardware import Chip, load_chip

_EVALUATED = "evaluated"
"""Folder of what is done: a file for each variant, named by all that it depends on."""

_FRAME_SECONDS = 0.03
"""What a frame of a variant takes, about, in a small model."""


def run_search(
    config: SearchConfig, folder: Path, workers: Workers, command: str, progress: Progress
) -> dict[str, Any]:
    """Evaluate what is not evaluated, and write search.json, search.csv and search.html.

    folder: the search's own. command: what makes the results, for them to say. Returns the results; ``failed`` says by
    name which variants were lost, and why. Candidates that cannot be built have a reason.

    Raises ConfigError when the search names what there is not, DataError when there are no sequences.
    """
    whole, chips = _with_whole_paths(config)
    checkpoints = {name: checkpoint_path(named).resolve() for name, named in config.models.items()}
    data = (folder / "data").resolve()
    frames = _write_data(config, data, progress)
    basis = _basis(whole, data, chips)
    all_ = {variant.name: variant for variant in variants(config)}
    files = {name: _file(folder, basis, all_[name], checkpoints[all_[name].model]) for name in all_}
    done = {name: rows for name, path in files.items() if (rows := _read(path)) is not None}
    open_ = {name: variant for name, variant in all_.items() if name not in done}
    calls = {name: (variant, whole, checkpoints[variant.model], data) for name, variant in open_.items()}
    workers = workers.for_calls(len(calls), len(calls) * frames * _FRAME_SECONDS, progress)
    progress.say(f"{len(all_)} variants, of which {len(done)} are evaluated; the others on {workers}")
    failed: dict[str, str] = {}
    if calls:
        with progress.task("evaluating", len(all_)) as task:

            def finished(name: str, rows: list[dict[str, Any]]) -> None:
                done[name] = rows
                write_json(files[name], rows)
                task.reach(len(done), name)

            failed = call_all(evaluate, calls, workers, finished)
    rows = [row for name in all_ for row in done.get(name, [])]
    results = _results(config, rows, chips, failed, command)
    _write(folder, results)
    return results


def _results(
    config: SearchConfig,
    rows: Sequence[Mapping[str, Any]],
    chips: Mapping[str, Chip],
    failed: Mapping[str, str],
    command: str,
) -> dict[str, Any]:
    candidates = [{"number": number, **row} for number, row in enumerate(rows, 1)]
    return {
        "config": config.model_dump(mode="json"),
        "command": command,
        "versions": versions(),
        "chips": {name: {"title": chip.title, "source": chip.source} for name, chip in chips.items()},
        "candidates": candidates,
        "front": [candidates[index]["number"] for index in front(candidates, config.objectives)],
        "fronts": {name: _chip_front(config, candidates, name) for name in chips},
        "failed": dict(failed),
    }


def _chip_front(config: SearchConfig, candidates: Sequence[Mapping[str, Any]], chip: str) -> dict[str, Any]:
    """The front on one chip, in those objectives for which it has any figures."""
    there = [row for row in candidates if row["chip"] == chip and row["reason"] is None]
    objectives: list[Objective] = [one for one in config.objectives if any(row[one] is not None for row in there)]
    return {"objectives": objectives, "candidates": [there[i]["number"] for i in front(there, objectives)]}


def _with_whole_paths(config: SearchConfig) -> tuple[SearchConfig, dict[str, Chip]]:
    """Files as paths that mean the same to every worker; and the chips by label. Bad ones are told before any work."""
    chips = {chip_name(name): load_chip(name) for name in config.chips}
    if len(chips) < len(config.chips):
        raise ConfigError("chips: two have the same name; rename one of the files")
    if load_profile(config.host).ann == []:
        raise ConfigError(f"host: {config.host} does not say what a conventional network costs (its file has no 'ann')")
    whole = {"chips": tuple(map(_whole, config.chips)), "host": _whole(config.host)}
    return config.model_copy(update=whole), chips


def _whole(name: str) -> str:
    return name if chip_name(name) == name else str(Path(name).resolve())


def _write_data(config: SearchConfig, data: Path, progress: Progress) -> int:
    """Write the sequences that variants are judged on. Returns the number of their frames."""
    frames = 0
    with progress.task("sequences", config.data.sequences) as task, write_whole(data) as to:
        to.mkdir()
        for index, sequence in enumerate(make_sequences(config.data, config.seed)):
            if len(sequence.frames) < 2:
                raise MonospikeError(f"sequence {sequence.name!r}: has one frame; following takes two")
            sequence.save(to / f"{index:03}.npz")
            frames += len(sequence.frames)
            task.advance()
    return frames


def _basis(config: SearchConfig, data: Path, chips: Mapping[str, Chip]) -> list[Any]:
    """What every variant depends on."""
    worth = [one for one in ("mean_iou", "agreement") if one in config.objectives]
    return [
        config.model_dump(mode="json", include={"encoder", "head", "most_chips", "frames"}),
        worth,
        {name: chip.model_dump(mode="json") for name, chip in chips.items()},
        load_profile(config.host).model_dump(mode="json"),
        [file_digest(path) for path in sorted(data.glob("*.npz"))],
        code_digest(),
    ]


def _file(folder: Path, basis: list[Any], variant: Variant, checkpoint: Path) -> Path:
    text = json.dumps([basis, asdict(variant), file_digest(checkpoint)], sort_keys=True)
    return folder / _EVALUATED / f"{hashlib.sha256(text.encode()).hexdigest()}.json"


def _read(path: Path) -> list[dict[str, Any]] | None:
    """The rows of a variant; None where it is not evaluated yet, or its file is damaged."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return rows if isinstance(rows, list) and all(isinstance(row, dict) for row in rows) else None


def _write(folder: Path, results: dict[str, Any]) -> None:
    with write_whole(folder / PAGE) as temporary:
        temporary.write_text(render(results), encoding="utf-8")
    save_results(results, folder)
