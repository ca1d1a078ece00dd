"""Videos with label masks as DAVIS, YouTube-VOS and plain folders keep them, in one form.

- DAVIS (Perazzi et al., CVPR 2016; Pont-Tuset et al., arXiv 1704.00675): ``JPEGImages/480p/NAME/00000.jpg``,
  ``Annotations/480p/NAME/00000.png``, names of sequences in ``ImageSets/2016|2017/SPLIT.txt``. Masks of 2017 are
  palette PNGs with a number an object; those of 2016 are 0 and 255, and its one object is all that those of 2017 show.
  DAVIS-2016 as it was first given out lists its frames in ``ImageSets/480p/SPLIT.txt``.
- YouTube-VOS (Xu et al., arXiv 1809.03327): ``meta.json``, ``JPEGImages/NAME/00000.jpg``,
  ``Annotations/NAME/00000.png``; not every frame has a mask, and objects appear later.
- Folders: ``NAME/img/0001.jpg``, ``NAME/mask/0001.png``, of 0 and 255 or with a number an object.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from netx.errors import FormatError
from pipeline.datasets.annotations import read_text
from pipeline.datasets.config import MaskedData, MaskLayout
from pipeline.datasets.errors import DataError
from pipeline.datasets.images import in_order, pictures_in
from pipeline.datasets.locations import located
from pipeline.datasets.masked_video import MaskedFrames, MaskedVideo, check_no_gap, paired
from pipeline.datasets.otb import name_of

RESOLUTION = "480p"
"""Of DAVIS's folders; its scores are of this one."""


def open_masked(data: MaskedData, davis_split: str = "val") -> list[MaskedVideo]:
    """The sequences that ``data`` names, in the order of their names; none of them is read yet.

    davis_split: which is meant of DAVIS's where ``data`` says none.

    Raises DataError or FormatError where there is no such data set or split, or nothing in it.
    """
    root = located(data.root)
    if not root.is_dir():
        raise DataError(f"{root}: there is no such folder of videos with masks")
    layout = _layout_of(root, data.split) if data.layout == "auto" else data.layout
    split = davis_split if data.split is None and layout in _DAVIS else data.split
    videos = _READERS[layout](root, split)
    if not videos:
        raise DataError(f"{root}: holds no sequence with masks")
    for video in videos:  # folders of results are called so
        if video.name in ("", ".", "..") or Path(video.name).name != video.name:
            raise DataError(f"{root}: {video.name!r} is no name of a sequence")
    return videos


def _layout_of(root: Path, split: str | None) -> MaskLayout:
    if (root / "ImageSets").is_dir():
        return "davis17"
    return "youtube-vos" if (root / (split or "") / "meta.json").is_file() else "masks"


def _davis(root: Path, split: str | None, years: Sequence[str], merged: bool) -> list[MaskedVideo]:
    lists = [root / "ImageSets" / year / f"{split}.txt" for year in years]
    listed = next((file for file in lists if file.is_file()), lists[0])
    names = []
    for line in read_text(listed).splitlines():
        words = line.split()
        if words:  # a sequence's name, or in DAVIS-2016's own lists the paths of a frame and its mask
            names.append(Path(words[0]).parent.name if len(words) > 1 else words[0])
    if not names:
        raise DataError(f"{listed}: names no sequence")
    return [MaskedVideo(name, partial(_davis_sequence, root, name, merged)) for name in sorted(set(names))]


def _davis_sequence(root: Path, name: str, merged: bool) -> MaskedFrames:
    pictures = _pictures(name, root / "JPEGImages" / RESOLUTION / name)
    check_no_gap(name, pictures)
    return paired(name, pictures, _masks(name, root / "Annotations" / RESOLUTION / name), True, merged)


def _folders(root: Path, split: str | None) -> list[MaskedVideo]:
    root = root / (split or "")
    if not root.is_dir():
        raise DataError(f"{root}: there is no such folder of videos with masks")
    inside = sorted(folder for folder in root.iterdir() if folder.is_dir() and not folder.name.startswith("."))
    folders = [root] if (root / "mask").is_dir() else inside
    if not any((folder / "mask").is_dir() for folder in folders):
        raise DataError(
            f"{root}: holds no sequence with masks. The layouts are DAVIS (ImageSets/, JPEGImages/480p/, "
            "Annotations/480p/), YouTube-VOS (meta.json, JPEGImages/, Annotations/) and folders (NAME/img/, NAME/mask/)"
        )
    return [MaskedVideo(name_of(folder), partial(_folder_sequence, folder)) for folder in folders]


def _folder_sequence(folder: Path) -> MaskedFrames:
    name = name_of(folder)
    pictures = _pictures(name, folder / "img")
    check_no_gap(name, pictures)
    return paired(name, pictures, _masks(name, folder / "mask"), True)


def _youtube_vos(root: Path, split: str | None) -> list[MaskedVideo]:
    root = root / (split or "")
    file = root / "meta.json"
    try:
        videos = json.loads(read_text(file))["videos"]
        objects = {name: _objects(entry["objects"]) for name, entry in videos.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise FormatError(f"{file}: is no meta.json of YouTube-VOS ({type(error).__name__}: {error})") from None
    return [MaskedVideo(name, partial(_youtube_sequence, root, name, objects[name])) for name in sorted(objects)]


def _objects(entries: dict[str, Any]) -> dict[int, tuple[str, list[str]]]:
    """What each object is, and the frames that are said to show it, by its number."""
    return {int(key): (str(entry["category"]), list(map(str, entry["frames"]))) for key, entry in entries.items()}


def _youtube_sequence(root: Path, name: str, objects: dict[int, tuple[str, list[str]]]) -> MaskedFrames:
    folder = root / "JPEGImages" / name
    pictures = _pictures(name, folder)
    stems = {picture.stem for picture in pictures}
    for number, (_, frames) in objects.items():
        for frame in frames:
            if frame not in stems:
                what = f"meta.json says that it shows object {number}"
                raise DataError(f"sequence {name!r}, frame {frame}: is missing in {folder}; {what}")
    found = paired(name, pictures, _masks(name, root / "Annotations" / name), False)
    classes = tuple((number, category) for number, (category, _) in objects.items())
    return MaskedFrames(found.frames, found.masks, classes)


def _pictures(name: str, folder: Path) -> list[Path]:
    try:
        return pictures_in(folder)
    except DataError as error:
        raise DataError(f"sequence {name!r}: {error}") from None


def _masks(name: str, folder: Path) -> list[Path]:
    files = in_order(file for file in folder.glob("*.png") if not file.name.startswith("."))
    if not files:
        raise DataError(f"sequence {name!r}: {folder} holds no mask; masks are PNGs called as their frames")
    return files


_READERS: dict[MaskLayout, Callable[[Path, str | None], list[MaskedVideo]]] = {
    "davis16": partial(_davis, years=("2016", RESOLUTION), merged=True),
    "davis17": partial(_davis, years=("2017",), merged=False),
    "youtube-vos": _youtube_vos,
    "masks": _folders,
}

_DAVIS: tuple[MaskLayout, ...] = ("davis16", "davis17")
"""Layouts whose splits are lists."""
