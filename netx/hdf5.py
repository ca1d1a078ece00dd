"""HDF5 files from anywhere, read without trust: sizes before contents, and one kind of error with the place in it.

Links that leave the file, references, virtual and external storage are refused, and nothing is unpickled.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any, TypeAlias

import h5py
import numpy as np
import numpy.typing as npt
from h5py import h5a, h5d, h5g, h5l, h5o, h5s, h5t

from netx.arrays import IntArray
from netx.errors import FormatError
from netx.foreign import LONGEST_NAME, shown
from netx.lowering import MAX_ELEMENTS

Refuse: TypeAlias = Callable[[FormatError], None]
"""What becomes of an error: a reader raises it, and a linter keeps it and goes on behind what cannot be read."""

_H5PY_ERRORS = (OSError, KeyError, RuntimeError, ValueError, TypeError)
"""What h5py 3 raises, by place and kind of damage, when libhdf5 refuses."""

_HEAP = b"GCOL\x01\0\0\0"
"""Signature, version and reserved bytes of a global heap."""

_HEADER = 16
"""Bytes of the header of a global heap, and of each object in it."""

_MAX_MEMBERS = 1 << 16
"""Most members of one group; a network of so many layers does not exist."""

_VALUES_ALWAYS, _VALUES_PER_BYTE = 1 << 25, 8
"""How many values may be read from a file of any size, and from each of its bytes if it is larger: compression can make
a thousand values of one byte, and so gigabytes of a file that fits into an e-mail. Pruned 8-bit weights reach six."""

_TEXT_VALUES = 16
"""As how many values a text counts, beside its characters: a string is an object, an array and its place in it."""

_CHUNKS = 1 << 16
"""How many chunks may be read from one file: libhdf5 2.0.0 takes 3.9 kB for each, also where it stores nothing."""

_BLOCK = 1 << 20
"""Values that are looked at together, so that checking needs little memory beside them."""


class _Budget:
    """What may still be read from one file, and what was. longest: bytes of the longest text of no fixed length."""

    def __init__(self, path: Path, longest: int) -> None:
        self._left = self._total = max(_VALUES_ALWAYS, _VALUES_PER_BYTE * path.stat().st_size)
        self._chunks_left = _CHUNKS
        self._longest = longest
        self.values: dict[tuple[str, str], npt.NDArray] = {}

    def take(self, shape: tuple[int, ...], chunk: tuple[int, ...] | None, text: Any) -> str | None:
        """Count a dataset as read; one of strings of the type ``text`` counts as what it may take.

        chunk: shape of the pieces in which it is stored; None where it is in one, without an index, which like a first
        chunk takes no more than the file has for it. Returns what is too much, if it is.
        """
        each = 1
        if text is not None:
            # Many elements may be the same text, which stands in the file once.
            fixed = h5py.check_string_dtype(text).length
            each = _TEXT_VALUES + (self._longest if fixed is None else fixed) // _VALUES_PER_BYTE
        size = math.prod(shape)
        chunks = math.prod(-(-total // part) for total, part in zip(shape, chunk, strict=True)) if chunk else 0
        if size * each > self._left:
            return f"has {size} values, and a file of this size may hold {self._total} in all"
        if max(chunks - 1, 0) > self._chunks_left:
            return f"is stored in {chunks} chunks, and a file may hold {_CHUNKS} in all"
        self._left -= size * each
        self._chunks_left -= max(chunks - 1, 0)
        return None


@dataclass(frozen=True)
class Group:
    """A group of an open file. Every method raises FormatError that names the file and the place."""

    path: Path
    place: str
    _handle: Any
    _budget: _Budget
    _open: dict[str, Any] = field(default_factory=dict)

    def error(self, message: str, name: str = "") -> FormatError:
        """The error ``message`` about this group, or its member ``name``."""
        place = f"{self.place}/{name}".strip("/")
        said = shown(place, longest=LONGEST_NAME)
        return FormatError(f"{self.path}: {said}: {message}" if place else f"{self.path}: {message}", place)

    @property
    def address(self) -> int:
        """Where in the file it begins: one group under several names has one."""
        try:
            return int(h5py.h5o.get_info(self._handle.id).addr)
        except _H5PY_ERRORS as error:
            raise self.error(f"cannot be read ({error})") from None

    def names(self) -> list[str]:
        """The names of its members, sorted."""
        return sorted(self._listed)

    def __contains__(self, name: str) -> bool:
        return name in self._listed

    def is_group(self, name: str) -> bool:
        """Whether the member ``name`` is a group."""
        return isinstance(self._member(name), h5g.GroupID)

    def group(self, name: str) -> Group:
        """The member group ``name``."""
        member = self._member(name)
        if not isinstance(member, h5g.GroupID):
            raise self.error("is not a group", name)
        return Group(self.path, f"{self.place}/{name}".strip("/"), h5py.Group(member), self._budget)

    def numbers(self, name: str, *shapes: tuple[int, ...]) -> npt.NDArray:
        """The numeric dataset ``name``, whole or real, finite or not; of one of ``shapes`` where any is given."""
        return self._read(name, "biuf", "numbers", shapes)

    def integers(self, name: str, *shapes: tuple[int, ...]) -> IntArray:
        """The dataset ``name``, all of it whole numbers of at most 32 bits; of one of ``shapes`` where any is given."""
        return self.whole(self.numbers(name, *shapes), name)

    def integer(self, name: str) -> int:
        """The dataset ``name``: one whole number."""
        return int(self.integers(name, (), (1,)).flat[0])

    def whole(self, values: npt.NDArray, name: str) -> IntArray:
        """``values``, read from the member ``name``, once all are whole numbers of at most 32 bits."""
        flat = values.reshape(-1)
        for start in range(0, flat.size, _BLOCK):
            block = flat[start : start + _BLOCK]
            with np.errstate(invalid="ignore"):
                bad = ~(np.isfinite(block) & (np.abs(block.astype(np.float64)) < 2.0**31) & (block == np.floor(block)))
            if bad.any():
                place = tuple(int(i) for i in np.unravel_index(start + int(np.argmax(bad)), values.shape))
                where = f"[{', '.join(map(str, place))}]" if place else "it"
                raise self.error(f"{where} is {values[place]}, expected a whole number of at most 32 bits", name)
        return values.astype(np.int32)

    def value(self, name: str) -> npt.NDArray | str:
        """The dataset ``name``: numbers, or one string."""
        return self.text(name) if self.holds_text(name) else self.numbers(name)

    def text(self, name: str) -> str:
        """The dataset ``name``: one string."""
        return self.texts(name, (), (1,)).flat[0]

    def texts(self, name: str, *shapes: tuple[int, ...]) -> npt.NDArray:
        """The dataset ``name``: an array of strings, of one of ``shapes`` where any is given."""
        values = self._read(name, "S", "text", shapes)
        try:
            decoded = [value.decode("utf-8") if isinstance(value, bytes) else str(value) for value in values.flat]
        except UnicodeDecodeError:
            raise self.error("is no UTF-8 text", name) from None
        return np.array(decoded, dtype=object).reshape(values.shape)

    def holds_text(self, name: str) -> bool:
        """Whether the member ``name`` is a dataset of strings."""
        member = self._member(name)
        return isinstance(member, h5d.DatasetID) and _kind(self._type(member, name)) == "S"

    def attributes(self) -> dict[str, npt.NDArray | str]:
        """The attributes, each numbers or one ASCII string of fixed length; any other is an error."""
        result: dict[str, npt.NDArray | str] = {}
        try:
            for index in range(h5a.get_num_attrs(self._handle.id)):
                attribute = h5a.open(self._handle.id, index=index)
                name = attribute.name.decode("utf-8", "surrogateescape")
                # The type comes before the value: libhdf5 2.0.0 can crash over values of damaged variable-length types.
                if attribute.dtype.kind not in "biufS" or attribute.get_space().get_simple_extent_type() == h5s.NULL:
                    raise self.error("is neither numbers nor text of fixed length", f"@{name}")
                value = np.empty(attribute.shape, attribute.dtype)
                attribute.read(value)
                text = value.dtype.kind == "S" and value.shape == ()
                result[name] = bytes(value[()]).decode("ascii") if text else value
        except _H5PY_ERRORS as error:
            raise self.error(f"its attributes cannot be read ({error})") from None
        return result

    @cached_property
    def _listed(self) -> Mapping[str, int]:
        """The members by name, each with the kind of its link: all in one call, since each takes libhdf5 long."""
        found: dict[str, int] = {}

        def note(name: bytes, about: Any) -> None:
            found[name.decode("utf-8", "surrogateescape")] = about.type

        try:
            if len(self._handle) > _MAX_MEMBERS:
                raise self.error(f"has {len(self._handle)} members, more than {_MAX_MEMBERS}")
            self._handle.id.links.iterate(note, info=True)
        except _H5PY_ERRORS as error:
            raise self.error(f"cannot be listed ({error})") from None
        return found

    def number_attribute(self, name: str) -> float:
        """The attribute ``name``: one number."""
        try:
            if name not in self._handle.attrs:
                raise self.error("is missing", f"@{name}")
            kind = self._handle.attrs.get_id(name)
            if kind.dtype.kind not in "biuf" or kind.shape not in ((), (1,)):
                raise self.error("is not one number", f"@{name}")
            return float(np.asarray(self._handle.attrs[name]).flat[0])
        except _H5PY_ERRORS as error:
            raise self.error(f"cannot be read ({error})", f"@{name}") from None

    def _member(self, name: str) -> Any:
        """The identifier of a group or dataset. h5py's own objects around them cost several times as much to make."""
        if _is_path(name):
            raise self.error("is a path, expected the name of a member", name)
        if name not in self._listed:
            raise self.error("is missing", name)
        if name in self._open:
            return self._open[name]
        if self._listed[name] != h5l.TYPE_HARD:
            raise self.error("is a link to elsewhere, which is not followed", name)
        stored = name.encode("utf-8", "surrogateescape")
        try:
            member = h5o.open(self._handle.id, stored)
        except _H5PY_ERRORS as error:
            raise self.error(f"cannot be read ({error})", name) from None
        # Whether it is text is often asked before it is read; more than one kept open would cost memory.
        self._open.clear()
        self._open[name] = member
        return member

    def _type(self, dataset: Any, name: str) -> Any:
        try:
            return dataset.dtype
        except _H5PY_ERRORS as error:
            raise self.error(f"has a type that cannot be read ({error})", name) from None

    def _read(self, name: str, kinds: str, what: str, shapes: tuple[tuple[int, ...], ...]) -> npt.NDArray:
        """The dataset ``name``, which is read once, however often it is asked for; what is returned is read-only."""
        values = self._budget.values.get((self.place, name))
        if values is None or _kind(values.dtype) not in kinds or (shapes and values.shape not in shapes):
            values = self._read_first(name, kinds, what, shapes)
            values.flags.writeable = False
            self._budget.values[self.place, name] = values
        return values

    def _read_first(self, name: str, kinds: str, what: str, shapes: tuple[tuple[int, ...], ...]) -> npt.NDArray:
        dataset = self._member(name)
        if not isinstance(dataset, h5d.DatasetID):
            raise self.error(f"is a group, expected {what}", name)
        dtype = self._type(dataset, name)
        kind = _kind(dtype)
        if kind not in kinds:
            raise self.error(f"holds values of type {dtype}, expected {what}", name)
        try:
            space = dataset.get_space()
            if space.get_simple_extent_type() == h5s.NULL:
                raise self.error("is empty", name)
            shape = space.shape
            if shapes and shape not in shapes:
                raise self.error(f"has shape {shape}, expected {' or '.join(map(str, shapes))}", name)
            if math.prod(shape) > MAX_ELEMENTS:
                raise self.error(f"has {math.prod(shape)} values, more than {MAX_ELEMENTS}", name)
            # What has a place in this file is in one piece there, and in no other file.
            chunk = None if dataset.get_offset() is not None else self._chunk(dataset, name)
            if (excess := self._budget.take(shape, chunk, dtype if kind == "S" else None)) is not None:
                raise self.error(excess, name)
            values = np.empty(shape, dtype)
            dataset.read(h5s.ALL, h5s.ALL, values, _memory_type(dtype) if kind != "S" else None)
            return values
        except _H5PY_ERRORS as error:
            raise self.error(f"cannot be read ({error})", name) from None

    def _chunk(self, dataset: Any, name: str) -> tuple[int, ...] | None:
        """Shape of the pieces in which ``dataset`` is stored; None where it is in one."""
        created = dataset.get_create_plist()
        if created.get_layout() == h5d.VIRTUAL or created.get_external_count():
            raise self.error("is stored in another file, which is not followed", name)
        return created.get_chunk() if created.get_layout() == h5d.CHUNKED else None


@contextmanager
def opened(path: Path) -> Iterator[Group]:
    """The root group of the HDF5 file ``path``, open for reading until the end of the block.

    Raises FormatError when there is no such file, or it is not HDF5, or is truncated.
    """
    path = Path(path)
    if not path.is_file():
        raise FormatError(f"{path}: there is no such file")
    try:
        budget = _Budget(path, _check_heaps(path))
        file = h5py.File(path, "r")
    except _H5PY_ERRORS as error:
        raise FormatError(f"{path}: is not a whole HDF5 file ({error})") from None
    with file:
        yield Group(path, "", file, budget)


def _is_path(name: str) -> bool:
    """Whether ``name`` leads through other members, where links elsewhere would be followed unseen."""
    return "/" in str(name) or str(name) in ("", ".")


def _check_heaps(path: Path) -> int:
    """Length in bytes of the longest object of all global heaps, which hold strings.

    Raises FormatError unless the objects of every heap fill it exactly.

    libhdf5 2.0.0 loops for ever over one whose sizes are damaged. Layout: HDF5 File Format Specification 3.0, III.E;
    sizes are taken to be of 8 bytes, which is what h5py writes.
    """
    if path.stat().st_size == 0:
        raise FormatError(f"{path}: is empty")
    longest = 0
    # Heaps do not overlap, and an object takes a header at least; heaps within heaps could be walked for ever.
    left = path.stat().st_size // _HEADER
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        start = content.find(_HEAP)
        while start >= 0:
            lengths = _lengths_in_heap(content, start, left)
            if lengths is None:
                raise FormatError(f"{path}: is damaged: the string heap at byte {start} is inconsistent")
            left -= len(lengths)
            longest = max(longest, *lengths, 0)
            start = content.find(_HEAP, start + len(_HEAP))
    return longest


def _lengths_in_heap(content: mmap.mmap, start: int, most: int) -> list[int] | None:
    """Lengths of the objects of the heap at ``start``; None when they do not fill it exactly, or are over ``most``."""
    place = header = _HEADER
    lengths: list[int] = []
    if start + header > len(content):
        return None
    (size,) = struct.unpack_from("<Q", content, start + 8)
    if start + size > len(content):
        return None
    while place + header <= size:
        index, length = struct.unpack_from("<H6xQ", content, start + place)
        free = index == 0
        place += length if free else header + -(-length // 8) * 8
        if place > size or (free and place != size) or len(lengths) == most:
            return None
        if not free:
            lengths.append(length)
    return lengths if size - place < header else None


def check_agrees(group: Group, expected: Mapping[str, Any]) -> None:
    """Raises FormatError at the first dataset of ``group`` that differs from ``expected``, nested mappings included.

    Empty mappings, and members that ``expected`` does not name, are not looked at.
    """
    for name, value in expected.items():
        if isinstance(value, Mapping):
            if value:
                check_agrees(group.group(name), value)
        elif isinstance(value, str):
            if group.text(name) != value:
                raise group.error(f"is {group.text(name)!r}, but the recorded integers say {value!r}", name)
        else:
            array = np.asarray(value)
            stored = group.numbers(name, array.shape, *([(1,)] if array.shape == () else []))
            differs = np.argwhere(stored.reshape(array.shape) != array)
            if len(differs):
                place = tuple(int(i) for i in differs[0])
                where = f"[{', '.join(map(str, place))}] " if place else ""
                found = stored.reshape(array.shape)[place]
                raise group.error(f"{where}is {found}, but the recorded integers say {array[place]}", name)


def _memory_type(dtype: np.dtype) -> Any:
    """The HDF5 type of numbers in memory, which h5py makes anew for each read where it is not given."""
    return h5t.py_create(dtype) if dtype.metadata else _plain_type(dtype)


@cache
def _plain_type(dtype: np.dtype) -> Any:
    """Of a type without metadata: numpy takes types for equal that differ in these alone, as numbers and an enum."""
    return h5t.py_create(dtype)


def _kind(dtype: Any) -> str:
    """The numpy kind of ``dtype``, with strings of any length as ``S``. That is in its metadata, so nothing that is
    kept by type can tell it."""
    texts = dtype.kind in "OS" and h5py.check_string_dtype(dtype) is not None
    return "S" if texts else str(dtype.kind)
