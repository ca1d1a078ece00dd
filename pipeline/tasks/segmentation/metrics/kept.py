"""Masks that were found in the sequences of a data set, kept as they are finished, so that an evaluation goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

from netx.files import write_whole
from pipeline.core.files import write_json
from pipeline.core.provenance import kept_beside
from pipeline.datasets.errors import DataError
from pipeline.datasets.label_masks import LabelMask, read_labels, write_labels
from pipeline.datasets.masked_video import MaskedVideo
from pipeline.tasks.segmentation.metrics.scores import Found


@dataclass(frozen=True)
class _Written(Sequence[LabelMask]):
    """Masks that are read when asked for."""

    files: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.files)

    @overload
    def __getitem__(self, index: int) -> LabelMask: ...
    @overload
    def __getitem__(self, index: slice) -> _Written: ...
    def __getitem__(self, index: int | slice) -> LabelMask | _Written:
        return _Written(self.files[index]) if isinstance(index, slice) else read_labels(self.files[index])


class MaskFolder:
    """A folder ``NAME`` of palette PNGs for each sequence that is finished, called as its pictures, as the benchmarks'
    servers take them; and ``NAME.json``, which says of which data they are, and how long they took."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, video: MaskedVideo) -> Found | None:
        """What was found in a sequence; None where it is not finished, or its files have changed since."""
        about, files = self._about(video), self._files(video)
        try:
            said = json.loads(about.read_text(encoding="utf-8"))
            if said["of"] == _stamp(video) and all(file.is_file() for file in files):
                return Found(_Written(files), float(said["seconds"]))
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return None

    def add(self, video: MaskedVideo, masks: Sequence[LabelMask], seconds: float) -> Found:
        """Write down what was found in all frames of a sequence; it appears whole or not at all."""
        self._about(video).unlink(missing_ok=True)  # it speaks of the masks before these
        files = self._files(video)
        with write_whole(self.folder / video.name) as folder:
            folder.mkdir()
            for file, mask in zip(files, masks, strict=True):
                write_labels(folder / file.name, mask)
        write_json(self._about(video), {"of": _stamp(video), "seconds": seconds})
        return Found(_Written(files), seconds)

    def _about(self, video: MaskedVideo) -> Path:
        return self.folder / f"{video.name}.json"

    def _files(self, video: MaskedVideo) -> tuple[Path, ...]:
        return tuple(self.folder / video.name / f"{picture.stem}.png" for picture in video.frames.files)


def masks_beside(out: Path, model: str, engine: str, what: Any) -> MaskFolder:
    """The masks beside the result file ``out`` of one model and engine. what: as of ``kept_beside``."""
    return MaskFolder(kept_beside(out, "masks", model, engine, what))


def _stamp(video: MaskedVideo) -> str:
    """Names, sizes and times of change of a sequence's files."""
    files = [file for file in (*video.frames.files, *video.masks.files) if file is not None]
    try:
        seen = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    except OSError as error:
        raise DataError(f"sequence {video.name!r}: {error.filename}: {error.strerror}") from None
    return hashlib.sha256(json.dumps(seen).encode()).hexdigest()
