"""The protocols that make several tasks one: what the pipeline asks of a task, and what it hands to it.

A task is everything that tells tracking from detection: its models, what is drawn from its data, its losses, how its
models are scored, which networks of them run on a chip, and what a report shows of them. Rooms above ``pipeline.tasks``
know these protocols and no task; the task itself is looked up once, by its name, in ``pipeline.tasks``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, TypeVar

import numpy.typing as npt
import torch
from torch import Tensor, nn

from netx import Network
from netx.errors import MonospikeError
from pipeline.core.config import Section
from pipeline.core.judging import Judge
from pipeline.core.progress import Progress
from sim.recording import Recording

Image = npt.NDArray
"""RGB, uint8, (height, width, 3)."""

PromptT = TypeVar("PromptT", contravariant=True)
PredictionT = TypeVar("PredictionT", covariant=True)


@dataclass(frozen=True, eq=False)
class Batch:
    """What one step of a training sees: tensors by name, each with the sample as its first axis.

    inputs: names of those that the models take, in the order of their arguments. The others are for the losses.
    """

    tensors: Mapping[str, Tensor]
    inputs: tuple[str, ...]

    def __getitem__(self, name: str) -> Tensor:
        """Raises MonospikeError, naming what there is, for a tensor that the batch does not have."""
        if name not in self.tensors:
            raise MonospikeError(f"the batch has no tensor {name!r}; there are {', '.join(sorted(self.tensors))}")
        return self.tensors[name]

    @property
    def device(self) -> torch.device:
        """Where its tensors lie."""
        return next(iter(self.tensors.values())).device

    def to(self, device: torch.device) -> Batch:
        """The batch on another device."""
        return Batch({name: value.to(device, non_blocking=True) for name, value in self.tensors.items()}, self.inputs)

    def pin_memory(self) -> Batch:
        """The batch in memory from which a GPU reads while others compute; torch's data loader asks for it."""
        return Batch({name: value.pin_memory() for name, value in self.tensors.items()}, self.inputs)

    def through(self, model: nn.Module) -> dict[str, Tensor]:
        """What ``model`` answers to the inputs, by name."""
        answers: dict[str, Tensor] = model(*(self[name] for name in self.inputs))
        return answers


class Batches(Protocol):
    """The batches of a training by step. A step's batch depends on the seed and the step alone."""

    def __len__(self) -> int: ...

    def __getitem__(self, step: int) -> Batch:
        """Raises DataError or FormatError where what it is drawn from is missing or bad."""


class Processing(Section):
    """What a task does around its models, before and after them; saved with the weights."""

    trained_with: ClassVar[frozenset[str]] = frozenset()
    """Keys of pre-processing: what the weights were trained with, which no later configuration may change."""


class Validator(Protocol):
    """Scores models on samples that they are not trained on."""

    @property
    def logged(self) -> tuple[str, ...]:
        """Keys of ``validate``'s numbers that the training's log shows, where a model has them."""

    def validate(self, model: nn.Module, device: torch.device) -> dict[str, Any]:
        """Scores as JSON values. The model's mode is left as it was."""

    def rounding(self, model: nn.Module, device: torch.device) -> dict[str, Any]:
        """What rounding to integers changes, as JSON values; nothing of a model that does not spike."""


class Predictor(Protocol[PromptT, PredictionT]):
    """A model at work on frames. A prompt says what is wanted of them: a box to track, a mask to segment, nothing."""

    def start(self, frame: Image, prompt: PromptT) -> None:
        """Begin with ``frame``, in which ``prompt`` marks what is meant."""

    def step(self, frame: Image) -> PredictionT:
        """The prediction for the next frame."""


@dataclass(frozen=True, eq=False)
class Target:
    """One feed-forward network of integers and the frames on which all engines have to agree.

    frames: integers by input, (frame, channel, height, width). real: how many of the frames come first and show
    samples; what comes after them are probes (zeros, ones, random).
    """

    network: Network
    frames: Mapping[str, npt.NDArray]
    real: int


@dataclass(frozen=True)
class Evaluation:
    """How well the float reference and the integers do on a run's samples.

    scores: JSON values, the ``accuracy`` of report.json: ``float`` and ``integer``, and baselines beside them, each
    with the task's metrics. predictions: arrays to keep. headline: scores in a line, for people. figures: the most
    important of them at the head of the report's page, text by label.
    """

    scores: Mapping[str, Any]
    predictions: Mapping[str, npt.NDArray]
    headline: str
    figures: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PageSection:
    """A section that a task adds to a report.

    anchor: its identifier on the page, a word. title: its heading, and with ``navigation`` set that alone in the page's
    list of sections. html: what comes below the heading: safe markup, in which text from files is escaped already.
    files: that stand beside the page, by name.
    """

    anchor: str
    title: str
    html: str
    navigation: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class SequenceRequest:
    """A sequence that a model is at work on while its networks are watched.

    source: folder or file. prompt: what is meant in its first frame, as the user gives it; None for what the sequence
    itself says. most: frames after the first, None for all. every: one in so many is kept. reprogram: frames after
    which what was programmed is programmed anew; None for never. config: file that changes what the host does.
    """

    source: Path
    prompt: str | None = None
    most: int | None = None
    every: int = 1
    reprogram: int | None = None
    config: Path | None = None


@dataclass(frozen=True, eq=False)
class Passage:
    """Frames of a sequence that one network ran on, programmed as it was for them.

    target: which of the deployable's targets it is. name: of the passage, a file's name. frames: their numbers in the
    sequence. inputs: what enters the chip in a slice of the frames, integers by input, (frame, channel, height, width).
    references: what the student's own modules do there, SLAYER's first.
    """

    target: str
    name: str
    network: Network
    frames: tuple[int, ...]
    inputs: Callable[[slice], Mapping[str, npt.NDArray]]
    references: Callable[[slice], tuple[Recording, ...]]


@dataclass(frozen=True, eq=False)
class SequenceRun:
    """A model at work on a sequence.

    name: the sequence's. network: all of the model's integers. priced: as of a ``Deployable``. passages: every network
    that ran, in the order in which one programs the next.
    """

    name: str
    network: Network
    priced: tuple[str, ...]
    passages: tuple[Passage, ...]

    @property
    def at_every_frame(self) -> tuple[Passage, ...]:
        """The passages of the networks that are priced: one for each time that one was programmed."""
        return tuple(passage for passage in self.passages if passage.target in self.priced)


class Deployable(Protocol):
    """A trained student, all of whose networks run on the chip at one time step, and what the host does around them."""

    @property
    def priced(self) -> tuple[str, ...]:
        """Names of the targets that run at every frame: those that are counted, mapped and priced, as one network."""

    @property
    def processing(self) -> Processing:
        """Pre- and post-processing on the host, as saved with the weights."""

    def network(self) -> Network:
        """Its integers. Raises QuantizeError where a value is no integer, HeadroomError where one may overflow."""

    def targets(self, network: Network, samples: Sequence[Any], frames: int, seed: int) -> Mapping[str, Target]:
        """The networks that run on the chip, by name, in the order in which one programs the next.

        network: as read back from files. samples: of the run. frames: most of them for each target. seed: the probes'.
        """

    def record(self, targets: Mapping[str, Target]) -> Mapping[str, Recording]:
        """What the quantised SLAYER modules do with the frames of each target."""

    def evaluate(self, network: Network, samples: Sequence[Any], progress: Progress) -> Evaluation:
        """Float reference and integers, each on all samples."""

    def sections(
        self,
        samples: Sequence[Any],
        evaluation: Evaluation,
        targets: Mapping[str, Target],
        recordings: Mapping[str, Recording],
    ) -> Iterator[PageSection]:
        """What the report shows of the task. recordings: of the exact engine, by target."""


class Task(ABC):
    """A task, whose parts live in one room: ``pipeline.tasks.NAME``.

    training_config, data_config: what the ``monospike train`` file and the ``data`` section of a deployment hold; the
    first is a ``pipeline.tasks.config.TrainingConfig``. processing_type: what its checkpoints say of pre- and
    post-processing. processing_key: by which a deployment's configuration may say what it expects of that.
    not_compared: keys of an architecture in which a checkpoint may differ from the configuration that starts from it,
    and whose value counts. family, samples: for a model's card, what its models are called and what a training draws.
    limits: for the card, what the models are not good for, a sentence each.
    """

    name: ClassVar[str]
    training_config: ClassVar[type[Section]]
    data_config: ClassVar[type[Section]]
    processing_key: ClassVar[str] = "processing"
    processing_type: ClassVar[type[Processing]] = Processing
    not_compared: ClassVar[Mapping[str, Literal["checkpoint", "configuration"]]] = {}
    family: ClassVar[str] = "model"
    samples: ClassVar[str] = "samples"
    limits: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def build_model(self, architecture: Any) -> nn.Module:
        """A model with weights at random, which keeps ``architecture`` as its ``config``."""

    @abstractmethod
    def parse_architecture(self, text: str) -> Section:
        """The architecture of a checkpoint's metadata. Raises pydantic's ValidationError."""

    def processing(self, config: Any) -> Processing:
        """Pre- and post-processing of a training, which are saved with its weights."""
        del config
        return self.processing_type()

    def processing_of_older(self, training: Mapping[str, Any]) -> Processing:
        """The processing of a checkpoint that doesn't say it, from the configuration that it was trained with."""
        del training
        return self.processing_type()

    @abstractmethod
    def build_terms(self, config: Any, answers: Mapping[str, Tensor]) -> list[Any]:
        """The loss terms (``pipeline.training.term.Term``) of a training's configuration.

        answers: tensors as the models will answer them, MODEL/NAME, whose values don't matter. Raises TrainingError
        where a term doesn't fit them.
        """

    def compared(self, config: Any) -> Callable[[Any, str, str], tuple[Tensor, Tensor, Tensor]]:
        """What the gate of online distillation compares: a ``pipeline.training.gate.Compared``. Raises MonospikeError
        where the task has none."""
        del config
        raise MonospikeError(f"online: the task {self.name!r} does not say what a gate compares; leave 'online' out")

    @abstractmethod
    def example(self, config: Any) -> Batch:
        """One empty sample, for a dry run of models and terms."""

    @abstractmethod
    def batches(self, config: Any, rank: int) -> Batches:
        """What a training draws from its data. rank: of several processes, each of which draws its own."""

    def initialised(
        self, name: str, model: nn.Module, config: Any, first: Callable[[int], Sequence[Batch]]
    ) -> nn.Module:
        """``model``, which starts afresh as ``models.NAME``, with weights and thresholds from the first batches; as it
        is where the task has no such thing. first: as many batches of the training's first steps as are asked for; they
        are the same in every process."""
        del name, config, first
        return model

    @abstractmethod
    def validator(self, config: Any) -> Validator:
        """What scores the models of a training. Raises DataError where its samples are missing."""

    def headline(self, scores: Mapping[str, Any]) -> str:
        """A model's scores in a line, for people."""
        return ", ".join(f"{key} {value:.3f}" for key, value in scores.items() if isinstance(value, float))

    def judge(self) -> Judge:
        """How studies judge its models. Raises MonospikeError where the task has no studies."""
        raise MonospikeError(
            f"the task {self.name!r} does not say how its models are judged: there are no studies of it"
        )

    @abstractmethod
    def write_samples(self, config: Any, seed: int, folder: Path, progress: Progress) -> str:
        """Leave what a deployment is evaluated on in ``folder``; returns what that is, in a line."""

    @abstractmethod
    def read_samples(self, folder: Path) -> Sequence[Any]:
        """What ``write_samples`` left. Raises FormatError where a file is damaged."""

    def data_stamp(self, config: Any) -> Any:
        """JSON values that change with the user's files that a deployment's data are made from."""
        del config
        return None

    @abstractmethod
    def deployable(self, checkpoint: Path) -> Deployable:
        """The student in a checkpoint. Raises FormatError where the file holds none, MonospikeError where not all of it
        runs on the chip."""

    def network(self, checkpoint: Path) -> Network:
        """The integers of the student in a checkpoint, by themselves; parts on the host in real values may be left out.

        Raises as ``deployable`` does, and QuantizeError where there is no such network.
        """
        return self.deployable(checkpoint).network()

    def follow(self, checkpoint: Path, request: SequenceRequest, progress: Progress) -> SequenceRun:
        """The integers of the student in a checkpoint at work on a sequence. Raises MonospikeError where the checkpoint
        or the sequence is no such thing, or the task has none."""
        del checkpoint, request, progress
        raise MonospikeError(f"the task {self.name!r} has no sequences")

    @abstractmethod
    def predictor(self, checkpoint: Path, engine: str) -> Predictor[Any, Any]:
        """The model in a checkpoint at work. engine: ``float`` or ``integer``."""
