"""Trained weights that come with the package, by name."""

from __future__ import annotations

from pathlib import Path

from netx.errors import FormatError, MonospikeError

_FOLDER = Path(__file__).parent


def checkpoint_path(name: str) -> Path:
    """The file of the packaged checkpoint called ``name``; anything with a suffix or a slash is a path itself.

    Raises FormatError when the file is missing, MonospikeError when no packaged checkpoint is called so.
    """
    path = Path(name)
    if path.suffix or len(path.parts) > 1:
        if not path.is_file():
            raise FormatError(f"{path}: there is no such checkpoint")
        return path
    packaged = _FOLDER / f"{name}.safetensors"
    if not packaged.is_file():
        names = ", ".join(sorted(file.stem for file in _FOLDER.glob("*.safetensors"))) or "none"
        raise MonospikeError(f"no packaged checkpoint is called {name!r} (there are: {names}); or give a path")
    return packaged
