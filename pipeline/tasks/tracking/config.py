"""Tracking's configuration: the crops and post-processing of the loop, and a training of SiamFC++ or its students."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from pipeline.core.config import Section
from pipeline.core.task import Processing
from pipeline.datasets.config import SourceConfig
from pipeline.datasets.synthetic.composition import CompositionSpec
from pipeline.tasks import config as any_task
from pipeline.tasks.tracking.models.config import LEAST_SCORES, STRIDE, CropSide, ModelConfig
from pipeline.training import config as training
from pipeline.training.distillation.config import (
    AdaptiveHardTerm,
    AdversarialTerm,
    BoxTerm,
    CentreTerm,
    ClassTerm,
    FeatureTerm,
    FocalGlobalTerm,
    SeparationTerm,
    SharingTerm,
    TargetResponseTerm,
)


class TrackerConfig(Processing):
    """Crops and post-processing of the tracking loop, saved with the weights.

    Defaults are SiamFC++-AlexNet's on OTB2015 and UAV123: experiments/siamfcpp/test/otb/siamfcpp_alexnet-otb.yaml,
    pipeline/tracker_impl/siamfcpp_track.py (context_amount, min_sz) and pipeline/utils/crop.py of
    megvii-research/video_analyst, commit 7b89c20da7a07ee9bcbe21787885598f36c4d270. What is published for other
    benchmarks is in siamfcpp.yaml.
    """

    trained_with: ClassVar[frozenset[str]] = frozenset({"context", "border", "whole_pixels"})

    context: float = Field(0.5, ge=0, le=1, description="share of (width + height) added around the target")
    window: float = Field(0.23153228172839774, ge=0, le=1, description="influence of the cosine window")
    penalty: float = Field(
        0.05413758904760692, ge=0, le=1, description="strength of the penalty on changes of size and ratio"
    )
    size_rate: float = Field(0.5249642198880932, ge=0, le=1, description="how fast the box takes a new size")
    smallest: float = Field(10, gt=0, le=100, description="least side of a box, frame pixels")
    zero_rim: bool = Field(True, description="the cosine window is zero at the score map's rim")
    border: Literal["frame", "first"] = Field(
        "first", description="what crops show outside: the mean colour of each frame, or in whole numbers of the first"
    )
    whole_pixels: bool = Field(
        True,
        description="a crop shows a whole number of frame pixels, from the centre of its first to that of its last",
    )


class PairConfig(Section):
    """How training pairs are drawn from clips."""

    negative: float = Field(0.1, ge=0, le=1, description="share of pairs whose template shows another target")
    shift: float = Field(0.55, ge=0, le=1, description="largest shift of the target, in halves of the search crop")
    scale_jitter: float = Field(0.25, ge=0, le=1, description="largest |log| of the search crop's scale error")
    template_jitter: float = Field(0.05, ge=0, le=0.5, description="template shift and |log scale|, in target sizes")
    max_gap: int | None = Field(None, ge=0, description="most frames between template and search; None for any")
    light: float = Field(0, ge=0, le=1, description="strength of changes of brightness, contrast and tint")
    grey: float = Field(0, ge=0, le=1, description="share of crops that lose their colour")
    blur: float = Field(0, ge=0, le=1, description="share of crops that are blurred")


class LossConfig(Section):
    """Weights of the three terms, and the published code's peculiarities. Defaults are the demo's.

    ``PUBLISHED`` has siamfcpp_alexnet-trn.yaml's values.
    """

    alpha: float = Field(0.25, ge=0, le=1, description="focal loss: weight of positives, the rest being negatives'")
    gamma: float = Field(2.0, ge=0, description="focal loss: exponent")
    class_weight: float = Field(1.0, ge=0)
    centre_weight: float = Field(1.0, ge=0)
    box_weight: float = Field(3.0, ge=0)
    half_pixel: bool = Field(
        False,
        description="labels measure from centre to centre of pixels: a box's outermost half pixel is outside",
    )
    centre_on_negatives: bool = Field(
        False, description="centre-ness is also learned inside the boxes of negative pairs, as in densebox_target.py"
    )


class TrackingTerm(training.OwnTerm):
    """SiamFC++'s own three losses, against the true box."""

    kind: Literal["tracking"]
    loss: LossConfig = LossConfig()


TermConfig = Annotated[
    TrackingTerm
    | training.SpikeRateTerm
    | FeatureTerm
    | ClassTerm
    | BoxTerm
    | CentreTerm
    | AdaptiveHardTerm
    | TargetResponseTerm
    | SeparationTerm
    | FocalGlobalTerm
    | SharingTerm
    | AdversarialTerm,
    Field(discriminator="kind"),
]


class ModelEntry(any_task.ModelEntry):
    """A model that takes part."""

    architecture: ModelConfig
    like: str | None = Field(None, description="model that a spiking one is initialised from, layer by layer")
    calibrate: bool = Field(True, description="spiking models started afresh get their thresholds from first batches")
    rate: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="share of neurons that spike then; none: 0.15, or 0.25 of one that is initialised from another",
    )

    def started_from(self, weights: str) -> ModelEntry:
        """The same model, from a checkpoint instead of afresh."""
        return self.model_copy(update={"weights": weights, "like": None})


def _has_a_real_head(architecture: ModelConfig) -> bool:
    return architecture.kind == "siamfcpp" or architecture.head == "host"


class ValidationConfig(any_task.ValidationSettings):
    """Sequences that models are scored on by tracking them; none of them is trained on."""

    pictures: str | None = Field("builtin", description="what sequences are composed from; None for no composed ones")
    sequences: int = Field(4, ge=1)
    composition: CompositionSpec = CompositionSpec(frames=40)
    root: str | None = Field(None, description="folder of sequences in OTB's layout")
    frames: int = Field(60, ge=2, description="frames of each sequence at most")

    @model_validator(mode="after")
    def _has_sequences(self) -> ValidationConfig:
        if self.pictures is None and self.root is None:
            raise ValueError("has no sequences: give pictures to compose them from, or a root")
        if self.pictures is not None and self.composition.frames < 2:
            raise ValueError("composition.frames: a sequence of one frame has nothing to follow")
        return self


class SearchCrops(Section):
    """Search crops of another side than the models', which convolutions without padding answer just as well, by a
    score map of another size. Small ones are quicker, and show less of what is not the target."""

    side: CropSide = Field(ge=143, le=511)
    until: float = Field(1.0, gt=0, le=1, description="share of training after which crops are the models' own")


class TrainSettings(training.TrainSettings):
    """How long, and how. A batch is of pairs."""

    pairs: PairConfig = PairConfig()
    search: SearchCrops | None = Field(None, description="smaller search crops for a first part of training")


class TrainingConfig(any_task.TrainingConfig):
    """One whole training."""

    task: Literal["tracking"]
    models: Mapping[str, ModelEntry] = Field(min_length=1)
    losses: tuple[TermConfig, ...] = Field(min_length=1)
    data: tuple[SourceConfig, ...] = Field(min_length=1)
    train: TrainSettings
    validation: ValidationConfig = ValidationConfig()
    tracker: TrackerConfig = TrackerConfig()

    @model_validator(mode="after")
    def _models_fit(self) -> TrainingConfig:
        for name, entry in self.models.items():
            self._like_fits(name, entry)
        sides = {(e.architecture.template, e.architecture.search) for e in self.models.values()}
        if len(sides) > 1:
            raise ValueError(f"models: read crops of different sizes, {sorted(sides)}; all see the same pairs")
        self._search_fits()
        return self

    def _search_fits(self) -> None:
        if self.train.search is not None:
            for name, entry in self.models.items():
                least = entry.architecture.search - STRIDE * (entry.architecture.score_side - LEAST_SCORES)
                if self.train.search.side < least:
                    raise ValueError(f"train.search.side: leaves {name!r} too small a score map; {least} is the least")

    def _like_fits(self, name: str, entry: ModelEntry) -> None:
        if entry.like is None:
            return
        if entry.architecture.kind != "spiking" or entry.weights is not None:
            raise ValueError(f"models.{name}.like: is for spiking models without weights to start from")
        if not entry.calibrate:
            raise ValueError(f"models.{name}.like: sets thresholds, which 'calibrate: false' forbids")
        other = self.models.get(entry.like)
        if other is None or other.weights is None or not _has_a_real_head(other.architecture):
            raise ValueError(
                f"models.{name}.like: {entry.like!r} is no real-valued model with weights, nor a student whose head is"
            )
        ours, theirs = entry.architecture, other.architecture
        if theirs.kind == "spiking":
            if ours.head == "host":
                raise ValueError(
                    f"models.{name}.like: has its head on the host as {entry.like!r} has; give its 'weights'"
                )
            for key in ("encoder", "pixel_bits", "conv5", "time_steps"):
                if getattr(ours, key) != getattr(theirs, key):
                    raise ValueError(f"models.{name}.like: {key} is another than that of {entry.like!r}")
        if entry.architecture.width != other.architecture.width:
            raise ValueError(f"models.{name}.like: its channels are not those of {entry.like!r}")
