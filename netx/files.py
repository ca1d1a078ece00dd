"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from netx.errors import MonospikeError


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


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep a folder, which is made where it is missing, from others that ask for the same; the system lets go of it
    however this process ends.

    Raises MonospikeError when somebody has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise MonospikeError(
                f"{folder}: somebody else is working there; wait for that or stop it, or take another folder"
            ) from None
        yield


def check_places(*paths: Path | None) -> None:
    """Raises OSError, naming what is in the way, where a file could not be written: before the work, not after it.

    paths: files that are to be; None is none.
    """
    for path in paths:
        if path is None:
            continue
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        folder = next(parent for parent in path.absolute().parents if parent.exists())
        if not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
