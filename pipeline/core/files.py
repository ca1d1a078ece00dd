"""Files of a run: written whole, told apart by their digests."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from netx.files import write_whole


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as JSON; the file appears whole or not at all."""
    text = json.dumps(value, indent=1, allow_nan=False)
    with write_whole(path) as temporary:
        temporary.write_text(text + "\n")


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def files_stamp(folder: Path, *patterns: str) -> str:
    """SHA-256 of the names, sizes and times of change of the files in ``folder`` that fit a pattern.

    For what somebody else has put there: to read it all may take as long as what is made from it.
    """
    files = sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})
    seen = [(path.relative_to(folder).as_posix(), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return hashlib.sha256(json.dumps(seen).encode()).hexdigest()


def json_text(values: object) -> str:
    """``values`` as JSON for people."""
    return json.dumps(values, indent=1, allow_nan=False) + "\n"


def write_text(path: Path, text: str) -> None:
    """The file appears whole or not at all."""
    with write_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
