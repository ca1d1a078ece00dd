"""Files that appear whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def write_whole(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` to write a file or a folder to; it takes the name ``path`` on leaving.

    When the block raises, what was written is removed and an existing ``path`` stays as it was. Missing parent folders
    are made.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    workplace = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    temporary = workplace / path.name
    try:
        yield temporary
        replaced = workplace / "replaced"
        try:
            if temporary.is_dir() and path.is_dir():
                path.replace(replaced)
            temporary.replace(path)
        except BaseException:
            if replaced.exists() and not path.exists():
                replaced.replace(path)
            raise
    finally:
        shutil.rmtree(workplace, ignore_errors=True)
