"""A trained model becomes a folder of the package."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

from netx.errors import FormatError, MonospikeError
from netx.files import write_whole
from pipeline.model_zoo.card import in_markdown, make_card
from pipeline.model_zoo.names import CARD, README

MOST_BYTES = 12_000_000
"""Of one checkpoint: the package stays small enough to be installed anywhere."""


def package(run: Path, name: str, model: str | None, results: Path | None, into: Path) -> Path:
    """Write the folder of the model called ``name``; it appears whole or not at all, and replaces one of its name.

    run: folder of a training, or a checkpoint. model: which one, where the training has left several. results: a
    study's results.json. into: folder of packaged models. Raises MonospikeError where there is no such model, it is too
    large, or the study has not judged it; QuantizeError or HeadroomError where its network cannot be had.
    """
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise MonospikeError(f"{name!r} is no name for a model: use small letters, digits and dashes")
    checkpoint = find_checkpoint(run, model)
    size = checkpoint.stat().st_size
    if size > MOST_BYTES:
        raise MonospikeError(f"{checkpoint}: has {size:,} bytes, more than the {MOST_BYTES:,} that a model may have")
    card = make_card(name, checkpoint, None if results is None else read_results(results))
    with write_whole(into / name) as folder:
        folder.mkdir()
        shutil.copyfile(checkpoint, folder / f"{name}.safetensors")
        (folder / CARD).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
        (folder / README).write_text(in_markdown(card), encoding="utf-8")
    return into / name


def find_checkpoint(run: Path, model: str | None) -> Path:
    """The checkpoint meant by a training's folder and a model's name. Raises MonospikeError naming what there is."""
    if run.is_file():
        return run
    found = {file.stem: file for file in sorted(run.glob("*.safetensors")) if file.stem != "state"}
    if model is not None and model in found:
        return found[model]
    if model is None and len(found) == 1:
        return next(iter(found.values()))
    if not found:
        raise MonospikeError(f"{run}: holds no trained model; give the folder of a finished training, or of one stage")
    raise MonospikeError(f"{run}: choose one of its models with --model: {', '.join(found)}")


def read_results(path: Path) -> dict[str, Any]:
    """A study's results. Raises FormatError when the file is something else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FormatError(f"{path}: cannot be read as a study's results ({error})") from None
    if not isinstance(content, dict) or not {"models", "commands", "fixed"} <= content.keys():
        raise FormatError(f"{path}: is not the results.json of a study")
    return content
