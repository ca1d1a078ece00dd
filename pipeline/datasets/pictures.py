"""Where source photographs come from: the two that scikit-learn installs, or a folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from pipeline.datasets.errors import DataError
from pipeline.datasets.images import RGB, SUFFIXES, read_photograph
from pipeline.datasets.locations import located

BUILTIN = "builtin"
"""The source that needs no files of the user's."""

LONGEST_SIDE = 1024
"""Photographs are shrunk to this when read: three times the width of a composed frame, which leaves room to pan."""

CACHED = 128
"""Photographs kept decoded, 2.3 MB each at most. Decoding one takes as long as composing several frames."""


class Pictures(Sequence[RGB]):
    """Photographs that are read when asked for, as uint8 RGB arrays of shape (height, width, 3).

    Indexing raises FormatError naming the file when one is cut short or unreadable.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        """``files``: at least one picture file, in the order of their indices."""
        self.files = tuple(Path(file) for file in files)
        if not self.files:
            raise DataError("there are no pictures: name at least one file")
        self._read = lru_cache(CACHED)(lambda index: read_photograph(self.files[index], LONGEST_SIDE))

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return self._read(range(len(self))[index])

    def __iter__(self) -> Iterator[RGB]:
        return (self[index] for index in range(len(self)))

    def check(self) -> None:
        """Read every photograph once. Raises FormatError naming the first that cannot be read."""
        for file in self.files:
            read_photograph(file, LONGEST_SIDE)


def open_pictures(source: str | Path = BUILTIN) -> Pictures:
    """The photographs of ``source``: "builtin", or a folder that is searched with all its subfolders.

    They are in order of path, letter by letter: they are no frames, and what a seed draws depends on their order.
    Raises DataError when the folder is missing or holds no picture.
    """
    if str(source) == BUILTIN:
        return Pictures(_builtin_files())
    folder = located(source)
    if not folder.is_dir():
        raise DataError(f"{folder}: is not a folder; give a folder of pictures, or {BUILTIN!r}")
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
    if not files:
        raise DataError(f"{folder}: holds no picture; these are looked for: {' '.join(SUFFIXES)}")
    return Pictures(files)


def _builtin_files() -> list[Path]:
    package = find_spec("sklearn")  # Found, not imported: that would take a second.
    if package is None or package.origin is None:
        raise DataError("scikit-learn, whose photographs are the builtin pictures, is not installed")
    folder = Path(package.origin).parent / "datasets" / "images"
    files = [folder / "china.jpg", folder / "flower.jpg"]
    for file in files:
        if not file.is_file():
            raise DataError(f"{file}: scikit-learn's sample photograph is missing; reinstall scikit-learn")
    return files
