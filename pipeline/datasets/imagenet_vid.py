"""ImageNet-VID: ``Annotations/VID/train/.../VIDEO/%06d.xml`` and ``Data/VID/train/.../VIDEO/%06d.JPEG``.

Russakovsky et al., "ImageNet Large Scale Visual Recognition Challenge", IJCV 115(3), 2015. The XML is Pascal VOC's,
with a ``trackid`` that is one object's throughout a video; names are WordNet's.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pipeline.datasets.annotations import AnnotatedPicture
from pipeline.datasets.errors import DataError
from pipeline.datasets.images import in_order
from pipeline.datasets.locations import located
from pipeline.datasets.voc import read_annotation


def read_vid(root: str | Path) -> Iterator[tuple[str, list[AnnotatedPicture]]]:
    """The name and the frames of every video of the training split, in order of path.

    Raises DataError naming the file and the object that is wrong, or saying what to download.
    """
    folder = located(root)
    annotations, pictures = folder / "Annotations/VID/train", folder / "Data/VID/train"
    videos = sorted({file.parent for file in annotations.glob("**/*.xml")})
    if not videos:
        raise DataError(
            f"{annotations}: holds no *.xml. To have ImageNet-VID, register at https://image-net.org, download "
            "ILSVRC2015_VID.tar.gz and unpack it so that ROOT/Annotations/VID/train and ROOT/Data/VID/train are there"
        )
    for video in videos:
        name = video.relative_to(annotations)
        yield name.as_posix(), [_frame(file, pictures / name) for file in in_order(video.glob("*.xml"))]


def _frame(file: Path, folder: Path) -> AnnotatedPicture:
    return read_annotation(file, lambda _: folder / f"{file.stem}.JPEG")
