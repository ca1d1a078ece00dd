"""Files that appear whole or not at all."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import io
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from netx.errors import MonospikeError

UNFINISHED = ".unfinished"
"""How the names of folders end in which something is being written; they begin with a dot."""

_NEW, _OLD = "new", "old"
"""Within such a folder: what is being written, and what it is to replace."""

_LONGEST = 100
"""Characters of a file's name that such a folder is named after: names end at 255 bytes."""

_CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)
"""What a disk raises that takes no more, without the name of a file."""

_CURRENT_FOLDER, _EXCHANGE = -100, 2
"""Linux: AT_FDCWD (linux/fcntl.h) and RENAME_EXCHANGE (linux/fs.h), of renameat2(2)."""


@contextmanager
def write_whole(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` to write a file or a folder to; it takes the name ``path`` on leaving.

    When the block raises, what was written is removed and an existing ``path`` stays as it was. When the process is
    killed, it stays as it was, too, and the next one that writes in the same folder removes what was left. Missing
    parent folders are made. OSError of a disk without room names ``path``.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_unfinished(path.parent)
    with _workplace(path) as workplace:
        temporary = workplace / _NEW / path.name
        with _named(path, workplace):
            temporary.parent.mkdir()
            yield temporary
            _take_name(temporary, path, workplace / _OLD / path.name)


def hdf5_bytes(write: Callable[[Any], None]) -> bytes:
    """The content of an HDF5 file that ``write`` writes into the file object that it is given, for h5py to open.

    Made in memory: libhdf5 2.0.0, from which a full disk keeps what it holds back, ends the process.
    """
    content = io.BytesIO()
    write(content)
    return content.getvalue()


def append_line(path: Path, line: str) -> None:
    """Add a line to a file of text, which is made where it is missing. OSError of a disk without room names it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _named(path, path), path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")


@contextmanager
def _named(path: Path, place: Path) -> Iterator[None]:
    """Has errors of a disk that takes no more name ``path`` where they name nothing, or what is at ``place``."""
    try:
        yield
    except OSError as error:
        if error.errno in _CANNOT_WRITE and (error.filename is None or _is_in(place, error.filename)):
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from None
        raise


@contextmanager
def _workplace(path: Path) -> Iterator[Path]:
    """A new folder beside ``path``, locked as long as this process works in it."""
    while True:
        workplace = Path(tempfile.mkdtemp(prefix=f".{path.name[:_LONGEST]}.", suffix=UNFINISHED, dir=path.parent))
        lock = _locked(workplace)
        if lock is not None:
            break  # else somebody has cleared it away before it was locked
    try:
        yield workplace
    finally:
        shutil.rmtree(workplace, ignore_errors=True)
        os.close(lock)


def _locked(workplace: Path) -> int | None:
    """A descriptor that keeps ``workplace`` from being cleared away; None where it is another's, or gone."""
    try:
        lock = os.open(workplace, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return None
    with suppress(OSError):  # somebody else's
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if workplace.is_dir() and os.path.samestat(os.fstat(lock), workplace.stat()):
            return lock
    os.close(lock)
    return None


def _take_name(temporary: Path, path: Path, old: Path) -> None:
    """``temporary`` becomes ``path``: in one step or, on file systems that cannot, by way of ``old``."""
    if not (temporary.is_dir() and path.is_dir()) or path.is_symlink():
        temporary.replace(path)
        return
    if _exchanged(temporary, path):
        return
    old.parent.mkdir()
    path.replace(old)
    try:
        temporary.replace(path)
    except BaseException:
        old.replace(path)
        raise


def _exchanged(one: Path, other: Path) -> bool:
    """Whether both paths have changed places; no file system has to be able to."""
    exchange = getattr(ctypes.CDLL(None), "renameat2", None)
    return (
        exchange is not None
        and exchange(_CURRENT_FOLDER, os.fsencode(one), _CURRENT_FOLDER, os.fsencode(other), _EXCHANGE) == 0
    )


def _is_in(folder: Path, name: object) -> bool:
    return isinstance(name, (str, bytes)) and Path(os.fsdecode(name)).is_relative_to(folder)


def remove_unfinished(folder: Path, below: bool = False) -> None:
    """Remove what processes that were killed have left of what they wrote in ``folder``.

    What one of them had moved out of the way gets its name back. below: in all folders below it as well.
    """
    pattern = f".*{UNFINISHED}"
    for workplace in sorted(folder.rglob(pattern) if below else folder.glob(pattern)):
        lock = _locked(workplace)
        if lock is None:
            continue  # somebody is writing there
        try:
            for old in workplace.glob(f"{_OLD}/*"):
                if not (workplace.parent / old.name).exists():
                    old.replace(workplace.parent / old.name)
            shutil.rmtree(workplace, ignore_errors=True)
        finally:
            os.close(lock)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep a folder, which is made where it is missing, from others that ask for the same; the system lets go of it
    however this process ends. What killed ones have left unfinished there is removed.

    Raises MonospikeError when somebody has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a") as lock:
        _lock(lock, fcntl.LOCK_EX, folder)
        remove_unfinished(folder, below=True)
        yield


@contextmanager
def as_it_is(folder: Path) -> Iterator[None]:
    """Keep those out who ask for ``folder`` with ``alone_in``, for as long as it is read. Nothing is written.

    Raises MonospikeError when somebody is working there.
    """
    if not (folder / ".lock").is_file():  # nobody ever has
        yield
        return
    with (folder / ".lock").open("rb") as lock:
        _lock(lock, fcntl.LOCK_SH, folder)
        yield


def _lock(lock: IO[Any], kind: int, folder: Path) -> None:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        raise MonospikeError(
            f"{folder}: somebody else is working there; wait for that or stop it, or take another folder"
        ) from None


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
