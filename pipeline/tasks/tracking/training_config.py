"""The configuration of a training: one YAML file, every key checked."""

from __future__ import annotations

import re

from pydantic import Field, model_validator

from pipeline.core.config import Section
from pipeline.datasets.config import SourceConfig
from pipeline.datasets.synthetic.composition import CompositionSpec
from pipeline.models.blocks import BlockChoice
from pipeline.tasks.tracking.config import PairConfig, TrackerConfig
from pipeline.tasks.tracking.models.config import LEAST_SCORES, STRIDE, CropSide, ModelConfig
from pipeline.training.config import OptimiserConfig
from pipeline.training.distillation.config import TermConfig, TrackingTerm


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
    blocks: BlockChoice = Field(
        "auto",
        description="layers of spiking models in training: lava-dl's SLAYER, or plain ones of the same bits and "
        "gradients, which are faster; auto: SLAYER's wherever it is installed",
    )
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
