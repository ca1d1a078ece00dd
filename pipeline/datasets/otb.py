"""OTB-100, and any folder in its layout: ``NAME/img/*.jpg`` with ``NAME/groundtruth_rect.txt``.

Wu, Lim, Yang, "Object Tracking Benchmark", PAMI 37(9), 2015. Files count pixels from 1, ``Video.boxes`` from 0: see
``pipeline.datasets.annotations``. This is the only reader of the layout, for every command.
"""

from __future__ import annotations

from pathlib import Path

from pipeline.datasets.annotations import OTB_ORIGIN, facts, moved, no_box, one_line_a_picture, read_rows
from pipeline.datasets.errors import DataError
from pipeline.datasets.images import in_order, pictures_in
from pipeline.datasets.video import Annotations, PictureFiles, Video

GROUND_TRUTHS = "groundtruth_rect*.txt"
"""One file for each target; Jogging and Skating2 have ``.1.txt`` and ``.2.txt``."""


def otb100(root: Path) -> list[Video]:
    """The 100 sequences of the 98 folders, in order of name; no picture is read yet.

    Five sequences are annotated on a part of their pictures only. An empty ground-truth file is no target (Human4's
    first); where two are left they are named as the got10k toolkit names them, ``Jogging.1`` and ``Jogging.2``.
    A folder that is missing becomes a video that says so when it is loaded.
    """
    known = facts("otb100")
    ranges = {name: tuple(limits) for name, limits in known["ranges"].items()}
    return [video for name in sorted(known["folders"]) for video in _targets(root / name, name, ranges.get(name))]


def otb_folders(root: Path) -> list[Video]:
    """A sequence for each target of each folder of ``root``, all their frames; or of ``root`` itself if it is one.

    Raises DataError when no folder is a sequence. Where some are and some are not, those become videos that say what
    is missing.
    """
    if (root / "img").is_dir():
        return _targets(root, name_of(root), None)
    folders = sorted(folder for folder in root.iterdir() if folder.is_dir() and not folder.name.startswith("."))
    if not any((folder / "img").is_dir() for folder in folders):
        raise DataError(f"{root}: holds no sequence in OTB's layout: NAME/img/*.jpg and NAME/groundtruth_rect.txt")
    return [video for folder in folders for video in _targets(folder, folder.name, None)]


def name_of(folder: Path) -> str:
    """A folder's own name, also where it is given as ``.`` or ``..``: files are called by it."""
    return folder.name if folder.name not in ("", "..") else folder.resolve().name


def otb_video(folder: Path, ground_truth: Path, name: str, limits: tuple[int, int] | None = None) -> Video:
    """One target of one folder. limits: first and last picture that count, from 1; the file has their lines only.

    Loading it raises FormatError or DataError naming the file.
    """

    def read() -> Annotations:
        pictures = pictures_in(folder / "img")
        if limits is not None:
            pictures = pictures[limits[0] - 1 : limits[1]]
        rows = read_rows(ground_truth)
        one_line_a_picture(ground_truth, rows, pictures)
        boxes = moved(rows, -OTB_ORIGIN)
        return Annotations(PictureFiles(tuple(pictures)), boxes, no_box(boxes), origin=OTB_ORIGIN)

    return Video(name, folder, read)


def target_of(ground_truth: Path) -> str:
    """What a ground-truth file's name adds to its folder's: ``.2`` of ``groundtruth_rect.2.txt``."""
    return ground_truth.stem.removeprefix("groundtruth_rect")


def _targets(folder: Path, name: str, limits: tuple[int, int] | None) -> list[Video]:
    files = in_order(file for file in folder.glob(GROUND_TRUTHS) if file.read_bytes().strip())
    if len(files) > 1:
        return [otb_video(folder, file, f"{name}.{number}", limits) for number, file in enumerate(files, start=1)]
    return [otb_video(folder, files[0] if files else folder / "groundtruth_rect.txt", name, limits)]
