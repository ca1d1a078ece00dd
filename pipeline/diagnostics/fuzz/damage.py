"""Ways to damage a file: of its bytes, and of what HDF5 makes of them.

Every choice is drawn by a function (low, high) -> integer, so that a number, or hypothesis, can lead it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import h5py
import numpy as np

Choose: TypeAlias = Callable[[int, int], int]
"""A whole number between two, both included."""

_HDF5_ERRORS = (OSError, KeyError, RuntimeError, ValueError, TypeError, AttributeError)
"""What h5py raises where a file is already too damaged to be damaged further in its own terms."""


def numbered(seed: int) -> Choose:
    """The choices of the number ``seed``."""
    random = np.random.default_rng(seed)
    return lambda low, high: int(random.integers(low, high, endpoint=True))


def damaged(seeds: list[bytes], choose: Choose, path: Path, bait: Path) -> None:
    """Write one of the sound files ``seeds`` to ``path``, damaged once or a few times.

    bait: a file elsewhere, which links and external storage point to.
    """
    path.write_bytes(seeds[choose(0, len(seeds) - 1)])
    if choose(0, 2):
        for _ in range(choose(1, 3)):
            try:
                with h5py.File(path, "r+") as file:
                    _DAMAGES[choose(0, len(_DAMAGES) - 1)](file, choose, bait)
            except _HDF5_ERRORS:
                break
    if choose(0, 2) == 2:
        path.write_bytes(_damaged_bytes(path.read_bytes(), seeds, choose))


def _damaged_bytes(content: bytes, seeds: list[bytes], choose: Choose) -> bytes:
    data = bytearray(content)
    for _ in range(choose(1, 4)):
        start = choose(0, max(len(data) - 1, 0))
        length = min(choose(1, 64), len(data) - start)
        kind = choose(0, 6)
        if kind == 0:
            del data[start:]
        elif kind == 1:
            data[start : start + length] = bytes([(0, 255, 1, 127)[choose(0, 3)]]) * length
        elif kind == 2 and data:
            data[start] ^= 1 << choose(0, 7)
        elif kind == 3:
            other = seeds[choose(0, len(seeds) - 1)]
            begin = choose(0, len(other) - 1)
            data[start : start + length] = other[begin : begin + length]
        elif kind == 4:
            data[start:start] = data[start : start + length]
        elif kind == 5:
            data[start : start + 8] = (choose(0, 1 << 62) >> choose(0, 62)).to_bytes(8, "little")
        else:
            del data[start : start + length]
    return bytes(data)


def _members(file: h5py.File) -> list[str]:
    found: list[str] = []
    file.visit(found.append)
    return found


def _member(file: h5py.File, choose: Choose) -> str:
    members = _members(file)
    return members[choose(0, len(members) - 1)] if members else "node"


def _replace(file: h5py.File, place: str) -> None:
    if place in file:
        del file[place]


def _delete(file: h5py.File, choose: Choose, _: Path) -> None:
    _replace(file, _member(file, choose))


def _other_values(file: h5py.File, choose: Choose, _: Path) -> None:
    place = _member(file, choose)
    values: list[Any] = [
        *(np.nan, np.inf, -1, 0, 1e300, 2**31, -(2**63), 0.5, True, 3 + 4j),
        *("", "NIRGraph", "conv", "x" * 5000, b"\xff\xfe", np.array([], float)),
        *(
            np.full(3, np.nan),
            np.arange(7),
            np.zeros((2, 0, 3)),
            np.zeros((1,) * 20),
            [b"a", b"b"],
            np.array(["in", "out"], "S3"),
        ),
    ]
    value = values[choose(0, len(values) - 1)]
    _replace(file, place)
    file[place] = value


def _one_value(file: h5py.File, choose: Choose, _: Path) -> None:
    item = file[_member(file, choose)]
    if isinstance(item, h5py.Dataset) and item.size and item.dtype.kind in "iuf":
        worst = (np.nan, np.inf, -np.inf, 1e38, -1, 0, 0.5) if item.dtype.kind == "f" else (-1, 0, 127, 1, 2)
        # Not by way of all values: an earlier damage may have made terabytes of them.
        place = np.unravel_index(choose(0, item.size - 1), item.shape)
        item[place] = worst[choose(0, len(worst) - 1)]


def _other_type(file: h5py.File, choose: Choose, _: Path) -> None:
    place = _member(file, choose)
    types: list[Any] = [
        h5py.ref_dtype,
        h5py.regionref_dtype,
        h5py.vlen_dtype(np.int32),
        np.dtype([("a", "<i4"), ("b", "<f8")]),
        h5py.enum_dtype({"no": 0, "yes": 1}),
        np.dtype("V7"),
        h5py.string_dtype(),
        np.dtype(("<f4", (3, 2))),
    ]
    dtype = types[choose(0, len(types) - 1)]
    shape = ((), (1,), (3,), (2, 2))[choose(0, 3)]
    _replace(file, place)
    made = file.create_dataset(place, shape, dtype)
    if dtype == h5py.ref_dtype and choose(0, 1):
        made[...] = file.ref


def _gigantic(file: h5py.File, choose: Choose, _: Path) -> None:
    place = _member(file, choose)
    size = 1 << choose(10, 40)
    shape = ((size,), (size, 1 << choose(0, 20)), (1, size, 1))[choose(0, 2)]
    _replace(file, place)
    dtype = ("f4", "i1", "f8", "S1", "S65536")[choose(0, 4)]
    file.create_dataset(place, shape, dtype, chunks=tuple(min(n, 64) for n in shape), compression="gzip")


def _bomb(file: h5py.File, choose: Choose, _: Path) -> None:
    """Many values that are really there, in few bytes."""
    place = _member(file, choose)
    _replace(file, place)
    size = 1 << (choose(20, 25) if choose(0, 15) == 15 else choose(8, 16))
    file.create_dataset(place, (size,), "i1", chunks=(size,), compression="gzip", fillvalue=choose(0, 3))
    if choose(0, 3) == 3:
        file[place][:] = choose(0, 3)


def _long_texts(file: h5py.File, choose: Choose, _: Path) -> None:
    """The same long text many times."""
    place = _member(file, choose)
    _replace(file, place)
    made = file.create_dataset(place, (1 << choose(0, 11), 2), h5py.string_dtype())
    made[...] = "in" * (1 << choose(0, 14))


def _loop(file: h5py.File, choose: Choose, _: Path) -> None:
    """A group that is its own member, or another's a second time."""
    members = ["/", *_members(file)]
    target = file[members[choose(0, len(members) - 1)]]
    place = _member(file, choose)
    group = file[place] if isinstance(file[place], h5py.Group) else file[place].parent
    group[("again", "nodes", "0", "metadata", "neuron")[choose(0, 4)]] = target


def _links(file: h5py.File, choose: Choose, bait: Path) -> None:
    place = _member(file, choose)
    links = [
        h5py.ExternalLink(str(bait), "/"),
        h5py.ExternalLink("/etc/passwd", "/node"),
        h5py.ExternalLink(file.filename, place),
        h5py.SoftLink("/nowhere"),
        h5py.SoftLink(f"/{place}"),
        h5py.SoftLink("/"),
    ]
    _replace(file, place)
    file[place] = links[choose(0, len(links) - 1)]


def _stored_elsewhere(file: h5py.File, choose: Choose, bait: Path) -> None:
    place = _member(file, choose)
    _replace(file, place)
    if choose(0, 1):
        file.create_dataset(place, (4,), "f4", external=[(os.fspath(bait), 0, h5py.h5f.UNLIMITED)])
    else:
        layout = h5py.VirtualLayout((4,), "f4")
        layout[:] = h5py.VirtualSource(os.fspath(bait), "node", (4,))
        file.create_virtual_dataset(place, layout)


def _many(file: h5py.File, choose: Choose, _: Path) -> None:
    """Many groups, or groups within groups."""
    place = _member(file, choose)
    group = file[place] if isinstance(file[place], h5py.Group) else file
    if choose(0, 1):
        for index in range(choose(1, 300)):
            group.require_group(str(index))
    else:
        group.require_group("/".join(("nodes/a",) * choose(1, 60)))


def _attributes(file: h5py.File, choose: Choose, _: Path) -> None:
    item = file[_member(file, choose)]
    names = list(item.attrs) or ["layer"]
    values: list[Any] = [np.nan, "x" * 9000, -1, np.arange(9), b"\xff", 2**40, h5py.Empty("f4"), file.ref, ["a", "b"]]
    item.attrs[names[choose(0, len(names) - 1)]] = values[choose(0, len(values) - 1)]


def _exchanged(file: h5py.File, choose: Choose, _: Path) -> None:
    one, two = _member(file, choose), _member(file, choose)
    if one != two and not one.startswith(f"{two}/") and not two.startswith(f"{one}/"):
        file.move(one, "exchanged")
        file.move(two, one)
        file.move("exchanged", two)


_DAMAGES: tuple[Callable[[h5py.File, Choose, Path], None], ...] = (
    _delete,
    _other_values,
    _one_value,
    _other_type,
    _gigantic,
    _bomb,
    _long_texts,
    _loop,
    _links,
    _stored_elsewhere,
    _many,
    _attributes,
    _exchanged,
)
