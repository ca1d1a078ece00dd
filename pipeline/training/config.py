"""The configuration of a training: one YAML file, every key checked."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from pipeline.config import PairConfig, Section, TrackerConfig
from pipeline.data import CompositionSpec
from pipeline.models.config import LEAST_SCORES, STRIDE, CropSide, ModelConfig
from pipeline.training.term_config import TermConfig, TrackingTerm

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


class ModelEntry(Section):
    """A model that takes part."""

    architecture: ModelConfig
    weights: str | None = Field(None, description="checkpoint to start from; a model that is not trained needs one")
    like: str | None = Field(None, description="model that a spiking one starts as the likeness of, layer by layer")
    trained: bool = True
    calibrate: bool = Field(True, description="spiking models started afresh get their thresholds from first batches")
    rate: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="share of neurons that spike then; none: 0.15, or 0.25 of one that starts like another",
    )


def _has_a_real_head(architecture: ModelConfig) -> bool:
    return architecture.kind == "siamfcpp" or architecture.head == "host"


def _regular(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"is no regular expression ({error})") from None
    return pattern


Pattern = Annotated[str, AfterValidator(_regular)]
"""Regular expression, searched in parameters' names such as ``student.synapses.conv1.weight``."""


class Freeze(Section):
    """Parameters that stay as they are until a share of training is over; 1 is for ever."""

    pattern: Pattern
    until: float = Field(1.0, gt=0, le=1)


class RateFactor(Section):
    """Parameters that learn at ``factor`` times the learning rate; the first pattern that matches counts."""

    pattern: Pattern
    factor: float = Field(gt=0)


class OptimiserConfig(Section):
    """SGD with momentum, or Adam. A linear warm-up from ``first_rate`` to ``rate``, then a cosine to ``last_rate``."""

    kind: Literal["sgd", "adam"] = "adam"
    rate: float = Field(0.005, gt=0, le=1)
    first_rate: float = Field(1e-6, ge=0, le=1)
    last_rate: float = Field(1e-6, gt=0, le=1)
    warm_up: int = Field(100, ge=0, description="steps")
    momentum: float = Field(0.9, ge=0, lt=1)
    weight_decay: float = Field(0.0, ge=0, le=1)
    clip_norm: float = Field(10.0, gt=0, description="largest norm of the gradient")
    factors: tuple[RateFactor, ...] = ()
    freeze: tuple[Freeze, ...] = ()


class ValidationConfig(Section):
    """Sequences that the model is judged on by tracking them; none of them is trained on."""

    pictures: str | None = Field("builtin", description="what sequences are composed from; None for no composed ones")
    sequences: int = Field(4, ge=1)
    composition: CompositionSpec = CompositionSpec(frames=40)
    root: str | None = Field(None, description="folder of sequences in OTB's layout")
    frames: int = Field(60, ge=2, description="frames of each sequence at most")
    every: int = Field(1000, ge=1, description="steps; the last one is always judged")

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


class TrainSettings(Section):
    """How long, and how."""

    steps: int = Field(ge=1)
    batch: int = Field(16, ge=2, description="pairs a step, on each GPU")
    optimiser: OptimiserConfig = OptimiserConfig()
    pairs: PairConfig = PairConfig()
    search: SearchCrops | None = Field(None, description="smaller search crops for a first part of training")
    frozen_norms: float = Field(0.25, ge=0, le=1, description="last part of training with the biases of the chip")
    mixed_precision: bool = Field(False, description="bfloat16 where exactness isn't needed: nothing that spikes")
    workers: int = Field(1, ge=0, le=64, description="processes that prepare batches; the result is the same with any")
    save_every: int = Field(200, ge=1, description="steps between states that a stopped training resumes from")
    log_every: int = Field(20, ge=1)


class PruningConfig(Section):
    """Temporal pruning: the same training at fewer and fewer time steps, each from the state of the one before."""

    model: str
    time_steps: tuple[int, ...] = Field((5, 3, 1), min_length=1)
    steps: tuple[int, ...] | None = Field(None, description="training steps of each stage; None for train.steps each")

    @model_validator(mode="after")
    def _descends(self) -> PruningConfig:
        if any(later >= earlier for earlier, later in zip(self.time_steps, self.time_steps[1:], strict=False)):
            raise ValueError(f"time_steps: {list(self.time_steps)} does not descend")
        if min(self.time_steps) < 1:
            raise ValueError("time_steps: at least one step is needed")
        if self.steps is not None and (len(self.steps) != len(self.time_steps) or min(self.steps) < 1):
            raise ValueError(f"steps: give a number of at least 1 for each of the {len(self.time_steps)} stages")
        return self


class TrainingConfig(Section):
    """One whole training."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", description="the run's folder is runs/NAME")
    seed: int = Field(1, ge=0, lt=2**31)
    models: dict[str, ModelEntry] = Field(min_length=1)
    losses: tuple[TermConfig, ...] = Field(min_length=1)
    data: tuple[SourceConfig, ...] = Field(min_length=1)
    train: TrainSettings
    validation: ValidationConfig = ValidationConfig()
    tracker: TrackerConfig = TrackerConfig(context=0.5)
    pruning: PruningConfig | None = None

    @model_validator(mode="after")
    def _names_fit(self) -> TrainingConfig:
        trained = [name for name, entry in self.models.items() if entry.trained]
        if not trained:
            raise ValueError("models: none of them is trained")
        for name, entry in self.models.items():
            if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
                raise ValueError(f"models: {name!r} is no name; use letters, digits and underscores")
            if not entry.trained and entry.weights is None:
                raise ValueError(f"models.{name}: is not trained, and has no weights")
            self._like_fits(name, entry)
        self._losses_fit(trained)
        sides = {(e.architecture.template, e.architecture.search) for e in self.models.values()}
        if len(sides) > 1:
            raise ValueError(f"models: read crops of different sizes, {sorted(sides)}; all see the same pairs")
        self._search_fits()
        if self.pruning is not None:
            pruned = self.models.get(self.pruning.model)
            if pruned is None or not pruned.trained or pruned.architecture.kind != "spiking":
                raise ValueError(f"pruning: {self.pruning.model!r} is no spiking model that is trained")
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

    def _losses_fit(self, trained: list[str]) -> None:
        acting = [term for term in self.losses if isinstance(term, TrackingTerm) or term.weight > 0]
        for term in self.losses:
            for name in term.models:
                if name not in self.models:
                    raise ValueError(f"losses: there is no model {name!r}, only {', '.join(self.models)}")
            if term in acting and (fixed := [name for name in term.trains if name not in trained]):
                raise ValueError(f"losses: {term.kind} teaches {fixed[0]!r}, which is not trained")
        taught = {name for term in acting for name in term.trains}
        if idle := [name for name in trained if name not in taught]:
            raise ValueError(f"losses: none of them teaches {idle[0]!r}, which is trained")
