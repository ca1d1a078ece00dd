"""Where pictures, sequences and annotations come from.

Folders may begin with ``${MONOSPIKE_DATA}``: see ``pipeline.datasets.locations``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from pipeline.core.config import Section
from pipeline.datasets.synthetic.composition import CompositionSpec


class DataConfig(Section):
    """Where the sequences come from that the trackers are judged on."""

    pictures: str = Field("builtin", description='"builtin" (scikit-learn\'s two photographs) or a folder of pictures')
    dataset: Path | None = Field(
        None, description="folder of OTB-layout sequences to use instead of composed ones; see evaluate's `folder`"
    )
    sequences: int = Field(6, ge=1, le=1000, description="composed sequences, or the first ones of the dataset")
    composition: CompositionSpec = CompositionSpec()


FOR_TESTING = ("otb100", "lasot", "vot2018", "got10k-test", "shared-test")
"""Benchmarks whose layouts hold testing sequences alone; ``lasot`` is the testing split."""


class _Source(Section):
    """Where pairs come from. weight: share of the pairs, beside the other sources' weights."""

    weight: float = Field(1.0, gt=0)


class ComposedSource(_Source):
    """Clips composed from photographs, replaced by new ones as training goes on."""

    kind: Literal["composed"]
    pictures: str = Field("builtin", description='"builtin" (scikit-learn\'s two photographs) or a folder of pictures')
    clips: int = Field(150, ge=2, description="clips that pairs are drawn from at any one step")
    fresh_clips: int = Field(1, ge=0, description="clips that replace the oldest ones at each step")
    composition: CompositionSpec = CompositionSpec(frames=12)


class VideoSource(_Source):
    """Sequences in a benchmark's layout; ``folder`` is any directory in OTB's."""

    kind: Literal["video"]
    layout: str = Field("folder", description="folder, got10k-train, got10k-val, lasot-train, uav123: see evaluate")
    root: str

    @field_validator("layout")
    @classmethod
    def _may_be_trained_on(cls, layout: str) -> str:
        if layout in FOR_TESTING:
            raise ValueError(
                f"{layout!r} is for testing alone: models that have seen it can be compared with no others"
            )
        return layout


class VocSource(_Source):
    """Pictures with boxes: JPEGImages/ and Annotations/*.xml (Pascal VOC), in root or in its subfolders."""

    kind: Literal["voc"]
    root: str


class CocoSource(_Source):
    """Pictures with boxes in a COCO file (instances_train2017.json)."""

    kind: Literal["coco"]
    root: str = Field(description="folder of the pictures")
    annotations: str = Field(description="the JSON file")


class VidSource(_Source):
    """ImageNet-VID: Data/VID/train/.../VIDEO/*.JPEG and Annotations/VID/train/.../VIDEO/*.xml under root."""

    kind: Literal["vid"]
    root: str


class PhotoSource(_Source):
    """Photographs without boxes: any region is a target."""

    kind: Literal["photos"]
    root: str


SourceConfig = Annotated[
    ComposedSource | VideoSource | VocSource | CocoSource | VidSource | PhotoSource, Field(discriminator="kind")
]

DetectionLayout = Literal["voc", "coco", "yolo"]
"""How pictures with boxes may lie: see ``pipeline.datasets.voc``, ``coco`` and ``yolo``."""


class DetectionData(Section):
    """Pictures with all their objects, for detectors."""

    root: str
    layout: DetectionLayout | Literal["auto"] = Field("auto", description="auto: the one that lies in the root")
    annotations: str | None = Field(None, description="COCO's JSON file, where there are several or it lies elsewhere")
    split: str | None = Field(
        None, description="ImageSets/Main/SPLIT.txt (voc), annotations/*_SPLIT.json (coco), images/SPLIT/ (yolo)"
    )
    classes: tuple[str, ...] | None = Field(None, min_length=1, description="names by index; None: the data set's own")


MaskLayout = Literal["davis16", "davis17", "youtube-vos", "masks"]
"""How videos with masks may lie: see ``pipeline.datasets.masked_layouts``."""


class MaskedData(Section):
    """Videos with label masks."""

    root: str
    layout: MaskLayout | Literal["auto"] = Field("auto", description="auto: the one that lies in the root")
    split: str | None = Field(
        None,
        description="a list of DAVIS's, ImageSets/2016|2017/SPLIT.txt (None: val, or train to train on), or a folder "
        "of the other layouts (None: the root)",
    )
