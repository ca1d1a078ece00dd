"""A run's own student: its training on composed clips, by the loop that trains every model, and its checkpoints."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save

from netx.errors import FormatError
from netx.files import write_whole
from pipeline.core.task import Batch
from pipeline.datasets.synthetic.stream import ClipStream
from pipeline.models.safetensors_file import check_tensors, read_safetensors
from pipeline.tasks.tracking.config import LossConfig, TrackerConfig, TrackingTerm, TrainSettings
from pipeline.tasks.tracking.demo_config import StudentConfig, TrainConfig
from pipeline.tasks.tracking.demo_student import Student
from pipeline.tasks.tracking.predictor import Geometry
from pipeline.tasks.tracking.sampling import as_batch, draw_crops
from pipeline.tasks.tracking.terms import Tracking
from pipeline.training.config import OptimiserConfig
from pipeline.training.distributed import DistributedContext
from pipeline.training.loop import Method, learners_of
from pipeline.training.loop import train as train_models
from pipeline.training.state import load_state, save_state

Report = Callable[[int, str], None]

_NAME = "student"
"""Of the only model that is trained here."""


def geometry_of(config: StudentConfig) -> Geometry:
    """The crops of a student of this configuration."""
    return Geometry(config.template, config.search, config.stride, config.pixel_bits)


def train(
    student_config: StudentConfig,
    config: TrainConfig,
    tracker: TrackerConfig,
    clips: ClipStream,
    seed: int,
    state_file: Path,
    report: Report,
) -> Student:
    """Train a student for ``config.steps``, from ``state_file`` where it holds a state of this same training.

    Every step draws its batch from (seed, step) alone, so that a resumed training sees what an unbroken one would.
    ``report(step, losses in words)`` is called after each step. Raises FormatError when the state file is unreadable.
    """
    torch.manual_seed(seed)
    student = Student(student_config)
    term = TrackingTerm(kind="tracking", model=_NAME, loss=LossConfig())
    method = Method({_NAME: student}, {}, [Tracking(term, student_config.stride)])
    settings = _settings(config)
    learners = learners_of(method, settings)
    fingerprint = _fingerprint(student_config, config, tracker, seed)
    saved = load_state(state_file, lambda stored: stored == fingerprint)
    if saved:
        saved.restore(method, learners)
    first = saved.step if saved else 0
    stream = _batches(clips, config, geometry_of(student_config), tracker.context, seed, first)

    def after_step(step: int, losses: Mapping[str, float], _: Mapping[str, float]) -> None:
        if step % config.save_every == 0:
            save_state(state_file, method, learners, step, fingerprint)
        report(step, ", ".join(f"{name.partition('/')[2]} {value:.3f}" for name, value in losses.items()))

    train_models(method, learners, settings, first, stream, DistributedContext(torch.device("cpu")), after_step)
    return student.eval()


def _settings(config: TrainConfig) -> TrainSettings:
    rate = config.learning_rate
    optimiser = OptimiserConfig(rate=rate, first_rate=0, last_rate=rate / 100, warm_up=config.warm_up)
    return TrainSettings(
        steps=config.steps, batch=config.batch, optimiser=optimiser, frozen_norms=config.frozen_norms, workers=0
    )


def _batches(
    clips: ClipStream, config: TrainConfig, geometry: Geometry, context: float, seed: int, first: int
) -> Iterator[Batch]:
    for step in range(first, config.steps):
        window = clips.window(step)
        pick = lambda random: window[int(random.integers(len(window)))]  # noqa: B023, E731
        random = np.random.default_rng([seed, step])
        yield as_batch(draw_crops(pick, config.batch, geometry, context, config.pairs, random))


def save_checkpoint(student: Student, path: Path, notes: Mapping[str, str]) -> None:
    """Write the student's weights and configuration as safetensors; the file appears whole or not at all."""
    metadata = {"student": student.config.model_dump_json(), **notes}
    with write_whole(path) as temporary:
        tensors = {name: value.contiguous() for name, value in student.state_dict().items()}
        temporary.write_bytes(save(tensors, metadata))


def load_checkpoint(path: Path, config: StudentConfig) -> Student:
    """The student whose weights ``path`` holds, in evaluation mode.

    Raises FormatError when the file is missing, unreadable, of another architecture or not finite.
    """
    tensors, metadata = read_safetensors(path)
    student = Student(config)
    _check_config(path, json.loads(metadata.get("student", "{}")), config)
    check_tensors(path, tensors, student.state_dict())
    student.load_state_dict(tensors)
    return student.eval()


def _check_config(path: Path, stored: object, config: StudentConfig) -> None:
    wanted = json.loads(config.model_dump_json())
    if isinstance(stored, dict):
        for key, value in wanted.items():
            if key in stored and stored[key] != value:
                raise FormatError(f"{path}: its student has {key} = {stored[key]}, the configuration says {value}")


def _fingerprint(student: StudentConfig, config: TrainConfig, tracker: TrackerConfig, seed: int) -> str:
    keys = config.model_dump(mode="json", exclude={"checkpoint", "save_every"})
    return json.dumps([student.model_dump(mode="json"), keys, tracker.model_dump(mode="json"), seed])
