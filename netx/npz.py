"""Arrays from anybody's ``.npy`` and ``.npz`` files, read without trust: sizes before contents, one kind of error.

Nothing is unpickled. What a file says it unpacks to is bounded before memory is asked for, and has to be what
comes out. Layouts: NumPy Enhancement Proposal 1 (``numpy.lib.format``), and PKWARE's APPNOTE 6.3.10 for the archive.
"""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
from numpy.lib import format as layout

from netx.errors import FormatError

LARGEST = 1 << 32
"""Bytes that a file may unpack to, if it is not as large itself: compression can make a thousand bytes of one."""

_MEMBERS = 1 << 16
"""Most arrays of one archive."""

_DEFLATED_MOST = 1040
"""At most so many bytes come out of one byte of deflate, 1032 in the limit (zlib's ``Technical Details``)."""

_KINDS = "biufUS"
"""Truth values, whole and real numbers, text: kinds of dtypes that hold no objects, and that anything here can read."""

_ERRORS = (
    OSError, EOFError, ValueError, TypeError, KeyError, RuntimeError, NotImplementedError, MemoryError, SyntaxError,
    RecursionError, OverflowError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What damage raises in numpy and zipfile; RuntimeError for a flag that claims encryption."""


def npz_bytes(arrays: Mapping[str, npt.ArrayLike], compressed: bool = False) -> bytes:
    """The content of an ``.npz`` file of ``arrays``, by name.

    Made in memory: on a full disk numpy leaves an archive open that tries to write its end once more, with a stack
    dump, when it is cleared away.
    """
    content = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(content, **{name: np.asarray(a) for name, a in arrays.items()})
    return content.getvalue()


def read_npz(path: Path, most: int = LARGEST) -> dict[str, npt.NDArray]:
    """The arrays of the ``.npz`` file ``path`` by name, or that of an ``.npy`` under the file's name without ending.

    Which of both it is, its first bytes say. most: bytes that all of it may unpack to. Raises FormatError that names
    the file, and the member of an archive: where there is no such file, it is neither, is damaged or ends early, holds
    Python objects or records, unpacks to more than ``most`` and its own size, or to something else than it says.
    """
    path = Path(path)
    if not path.is_file():
        raise FormatError(f"{path}: there is no such file")
    most = max(most, path.stat().st_size)
    try:
        with path.open("rb") as file:
            magic = file.read(len(layout.MAGIC_PREFIX))
            file.seek(0)
            if magic == layout.MAGIC_PREFIX:
                return {path.stem: _array(file, path.stat().st_size, most)}
            if not magic.startswith(b"PK"):
                raise ValueError(f"it begins with {magic[:4]!r}")
            with zipfile.ZipFile(file) as archive:
                return _members(archive, path, most)
    except _ERRORS as error:
        reason = str(error) or type(error).__name__
        raise FormatError(f"{path}: is not an .npy or .npz file of numbers ({reason})") from None


def _members(archive: zipfile.ZipFile, path: Path, most: int) -> dict[str, npt.NDArray]:
    entries = archive.infolist()
    if len(entries) > _MEMBERS:
        raise FormatError(f"{path}: has {len(entries)} members, more than {_MEMBERS}")
    total = sum(entry.file_size for entry in entries)
    if total > most:
        raise FormatError(f"{path}: unpacks to {total} bytes, more than {most}")
    arrays: dict[str, npt.NDArray] = {}
    for entry in entries:
        name, where = entry.filename.removesuffix(".npy"), f"{path}: {entry.filename}"
        if name == entry.filename or name in arrays:
            raise FormatError(f"{where}: is {'there twice' if name in arrays else 'no array'}")
        _check_sizes(entry, where)
        try:
            with archive.open(entry) as file:
                arrays[name] = _array(file, entry.file_size, most)
        except _ERRORS as error:
            raise FormatError(f"{where}: is no whole array of numbers ({error or type(error).__name__})") from None
    return arrays


def _check_sizes(entry: zipfile.ZipInfo, where: str) -> None:
    """Raises FormatError unless so many bytes can come out of those that are stored."""
    methods = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: _DEFLATED_MOST}
    if entry.compress_type not in methods:
        raise FormatError(f"{where}: is compressed in a way that numpy does not write (method {entry.compress_type})")
    if entry.file_size > methods[entry.compress_type] * entry.compress_size:
        raise FormatError(f"{where}: says it unpacks {entry.compress_size} bytes to {entry.file_size}, which none can")


def _array(file: IO[bytes], size: int, most: int) -> npt.NDArray:
    """The array of an ``.npy`` of ``size`` bytes, header included; exactly its values have to follow the header.

    Raises ValueError and others where it is something else.
    """
    version = layout.read_magic(file)
    if version == (1, 0):
        shape, fortran, dtype = layout.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, fortran, dtype = layout.read_array_header_2_0(file)
    else:  # 3.0 differs in the names of records' fields only
        raise ValueError(f"it is of version {version[0]}.{version[1]} of the layout, which only records need")
    if dtype.kind not in _KINDS:
        raise ValueError(f"it holds values of type {dtype}: expected numbers, truth values or text")
    length, left = math.prod(shape) * dtype.itemsize, size - file.tell()
    if length > most:
        raise ValueError(f"it holds {length} bytes, more than {most}")
    if length != left:
        raise ValueError(f"it ends early or late: {shape} of {dtype} are {length} bytes, and {left} are there")
    values = np.empty(math.prod(shape), dtype)
    content = values.view(np.uint8).data if length else memoryview(b"")
    place = 0
    while place < length:
        count = file.readinto(content[place : place + (1 << 20)])  # type: ignore[attr-defined]
        if not count:
            raise EOFError(f"ends {length - place} bytes early")
        place += count
    if file.read(1):
        raise ValueError("goes on behind its values")
    return values.reshape(shape, order="F" if fortran else "C")
