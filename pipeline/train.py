"""Training the student on composed clips; it stops and resumes at the same weights."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from netx.errors import FormatError
from netx.files import write_whole
from pipeline.checkpoints import check_tensors, read_safetensors
from pipeline.clips import ClipStream
from pipeline.config import StudentConfig, TrackerConfig, TrainConfig
from pipeline.crop import pixel_range, positions
from pipeline.losses import tracking_loss
from pipeline.pairs import draw
from pipeline.student import Student
from pipeline.track import Geometry

Report = Callable[[int, str], None]


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
    optimizer = torch.optim.Adam(student.parameters(), lr=config.learning_rate)
    fingerprint = _fingerprint(student_config, config, tracker, seed)
    first = _resume(state_file, student, optimizer, fingerprint) if state_file.exists() else 0
    geometry = geometry_of(student_config)
    points, magnitude = None, -pixel_range(student_config.pixel_bits).low
    student.train()
    for step in range(first, config.steps):
        if step >= config.steps * (1 - config.frozen_norms):
            student.freeze_norms()
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * _schedule(step, config)
        random = np.random.default_rng([seed, step])
        batch = draw(clips.window(step), config.batch, geometry, tracker, config.pairs, random)
        readout = student(batch.template, batch.search)
        if points is None:
            side = readout["class"].shape[-1]
            points = torch.tensor(positions(side, geometry.stride, geometry.search), dtype=torch.float32)
        losses = tracking_loss(readout, student.distances(readout["box"]), batch.box, batch.same, points)
        optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), 10.0)
        optimizer.step()
        student.project_weights(magnitude)
        if (step + 1) % config.save_every == 0:
            _save_state(state_file, student, optimizer, step + 1, fingerprint)
        report(step + 1, ", ".join(f"{name} {float(value.detach()):.3f}" for name, value in losses.items()))
    return student.eval()


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


def _schedule(step: int, config: TrainConfig) -> float:
    """Linear warm-up, then a cosine down to a hundredth."""
    if step < config.warm_up:
        return (step + 1) / config.warm_up
    done = (step - config.warm_up) / max(config.steps - config.warm_up, 1)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done))


def _fingerprint(student: StudentConfig, config: TrainConfig, tracker: TrackerConfig, seed: int) -> str:
    keys = config.model_dump(mode="json", exclude={"checkpoint", "save_every"})
    return json.dumps([student.model_dump(mode="json"), keys, tracker.model_dump(mode="json"), seed])


def _save_state(path: Path, student: Student, optimizer: torch.optim.Optimizer, step: int, fingerprint: str) -> None:
    tensors = {f"student/{name}": value.contiguous() for name, value in student.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{key}": torch.as_tensor(value).contiguous() for key, value in state.items()}
    with write_whole(path) as temporary:
        temporary.write_bytes(save(tensors, {"step": str(step), "fingerprint": fingerprint}))


def _resume(path: Path, student: Student, optimizer: torch.optim.Optimizer, fingerprint: str) -> int:
    """Load a saved state and return the step to go on with: 0 when it is of another training."""
    tensors, metadata = read_safetensors(path)
    if metadata.get("fingerprint") != fingerprint:
        return 0
    student.load_state_dict({k.removeprefix("student/"): v for k, v in tensors.items() if k.startswith("student/")})
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer/"):
            _, index, key = name.split("/")
            state.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    return int(metadata["step"])
