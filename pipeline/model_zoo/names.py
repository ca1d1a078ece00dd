"""Trained models that come with the package, by name.

Each is a folder that ``monospike package`` made: ``NAME.safetensors``, and its card as README.md and card.json. Its
integers are made of the weights when they are asked for (``pipeline.model_zoo.networks``).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from netx.errors import FormatError, MonospikeError

FOLDER = Path(__file__).with_name("weights")
CARD, README = "card.json", "README.md"
CHECKPOINT = ".safetensors"


def packaged() -> dict[str, Path]:
    """The checkpoint of every packaged model, by name."""
    return {file.stem: file for file in sorted(FOLDER.glob(f"*/*{CHECKPOINT}"), key=lambda file: file.stem)}


def checkpoint_path(name: str) -> Path:
    """The file of the packaged model called ``name``; anything with a suffix or a slash is a path itself.

    Raises FormatError when the file is missing, MonospikeError when no packaged model is called so.
    """
    path = Path(name)
    if path.suffix or len(path.parts) > 1:
        if not path.is_file():
            raise FormatError(f"{path}: there is no such checkpoint")
        return path
    models = packaged()
    if name not in models:
        raise MonospikeError(
            f"no packaged model is called {name!r} (there are: {', '.join(models) or 'none'}); or give a path"
        )
    return models[name]


def card(name: str) -> dict[str, Any]:
    """What the card of the packaged model called ``name`` says. Raises MonospikeError when there is no such model."""
    return dict(json.loads((checkpoint_path(name).parent / CARD).read_text(encoding="utf-8")))
