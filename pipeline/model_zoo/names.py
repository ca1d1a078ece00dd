"""Trained models that come with the package, by name.

Each is a folder that ``monospike package`` made: ``NAME.safetensors``, its card as README.md and card.json, and where
it has integers ``net`` and ``nir``, its network in both formats.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, TypeAlias

from netx.errors import FormatError, MonospikeError

Format: TypeAlias = Literal["net", "nir"]

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


def network_path(name: str, format_: Format = "net") -> Path:
    """The network of integers of the packaged model called ``name``.

    Raises MonospikeError when no packaged model is called so, or it has none.
    """
    if not has_network(name, format_):
        raise MonospikeError(f"the packaged model {name!r} comes without a network of integers")
    return _network_folder(name, format_)


def has_network(name: str, format_: Format = "net") -> bool:
    """Whether the packaged model called ``name`` comes with its network of integers in files."""
    return _network_folder(name, format_).is_dir()


def _network_folder(name: str, format_: Format) -> Path:
    return checkpoint_path(name).parent / format_


def card(name: str) -> dict[str, Any]:
    """What the card of a packaged model says."""
    return dict(json.loads((packaged()[name].parent / CARD).read_text(encoding="utf-8")))
