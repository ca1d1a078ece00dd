"""A dataset: a folder of sequences in OTB's layout, read one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.core.seeds import derived_seed
from pipeline.datasets.config import DataConfig
from pipeline.datasets.errors import DataError
from pipeline.datasets.pictures import open_pictures
from pipeline.datasets.sequence import Sequence, frame_files, read_folder
from pipeline.datasets.synthetic.compose import compose

GROUND_TRUTHS = "groundtruth_rect*.txt"
"""One file for each target of a sequence."""


@dataclass(frozen=True)
class StoredSequence:
    """A sequence on disk: its folder, and which of the ground-truth files in it is meant."""

    folder: Path
    ground_truth: str

    @property
    def name(self) -> str:
        """Name of the folder, with the target's number where there are several."""
        target = self.ground_truth.removeprefix("groundtruth_rect").removesuffix("txt").strip(".")
        return f"{self.folder.name}.{target}" if target else self.folder.name

    def __len__(self) -> int:
        """Number of frames."""
        return len(frame_files(self.folder))

    def read(self) -> Sequence:
        """All frames and boxes. Raises FormatError as ``read_folder`` does."""
        return read_folder(self.folder, self.ground_truth)


def open_sequences(root: Path) -> list[StoredSequence]:
    """The sequences in the folders of ``root``, in order of name; no picture is read yet.

    A folder with several ground-truth files (``groundtruth_rect.1.txt``, ...) gives a sequence for each.

    Raises DataError naming the folder when the root is missing or one of its folders is no sequence.
    """
    root = Path(root)
    if not root.is_dir():
        raise DataError(f"{root}: is not a folder; a dataset root holds one folder a sequence")
    folders = sorted(folder for folder in root.iterdir() if folder.is_dir() and not folder.name.startswith("."))
    if not folders:
        raise DataError(f"{root}: holds no folder; a dataset root holds one folder a sequence")
    return [StoredSequence(folder, file) for folder in folders for file in _ground_truths(folder)]


def _ground_truths(folder: Path) -> list[str]:
    files = sorted(file.name for file in folder.glob(GROUND_TRUTHS))
    if not files or not (folder / "img").is_dir():
        raise DataError(f"{folder}: is no sequence in OTB's layout; expected img/ and groundtruth_rect.txt in it")
    return files


def make_sequences(config: DataConfig, seed: int) -> Iterator[Sequence]:
    """Sequences composed from pictures, or read from a dataset. Raises DataError where there are none."""
    if config.dataset is not None:
        yield from (stored.read() for stored in open_sequences(config.dataset)[: config.sequences])
        return
    pictures = open_pictures(config.pictures)
    for index in range(config.sequences):
        # Training composes from seeds of its own, so it has seen none of these.
        yield compose(pictures, config.composition, derived_seed(seed, "sequence", index))
