"""The spiking student as a tracker: on its real-valued weights, or as a network of integers on the exact engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import safetensors
from pydantic import ValidationError

from netx import prove_headroom
from netx.errors import FormatError
from pipeline.config import StudentConfig, TrackerConfig
from pipeline.convert import to_network
from pipeline.scorers import NetworkScorer, StudentScorer
from pipeline.student import Student
from pipeline.track import Pixels, ScoreMap, Siamese
from pipeline.train import geometry_of, load_checkpoint

Engine = Literal["float", "integer"]


def student_tracker(checkpoint: Path, engine: Engine, settings: TrackerConfig) -> Siamese:
    """The student in a checkpoint, whose architecture stands in the file itself.

    engine: ``float`` runs the real-valued weights, ``integer`` the network of Loihi integers, every accumulator proven.
    Raises FormatError when the file is missing or no student's, HeadroomError when the proof fails.
    """
    student = load_checkpoint(checkpoint, stored_config(checkpoint))
    if engine == "float":
        return Siamese(_RealValued(student), geometry_of(student.config), settings)
    network = to_network(student)
    prove_headroom(network)
    return Siamese(NetworkScorer(network, student), geometry_of(student.config), settings)


def stored_config(checkpoint: Path) -> StudentConfig:
    """The configuration that a checkpoint carries. Raises FormatError when there is none, or not a student's."""
    if not checkpoint.is_file():
        raise FormatError(f"{checkpoint}: there is no such checkpoint")
    try:
        with safetensors.safe_open(checkpoint, framework="numpy") as file:
            metadata = file.metadata() or {}
    except (safetensors.SafetensorError, OSError) as error:
        raise FormatError(f"{checkpoint}: is not a complete safetensors file ({error})") from None
    if "student" not in metadata:
        raise FormatError(f"{checkpoint}: does not say which student it holds (its metadata has no 'student')")
    try:
        return StudentConfig.model_validate_json(json.dumps(json.loads(metadata["student"])))
    except (ValidationError, ValueError) as error:
        raise FormatError(f"{checkpoint}: its student's configuration is not one of ours ({error})") from None


class _RealValued:
    """The student's scorer on its real-valued weights."""

    def __init__(self, student: Student) -> None:
        self._student, self._scorer = student, StudentScorer(student)

    def program(self, template: Pixels) -> None:
        with self._student.float_weights():
            self._scorer.program(template)

    def score(self, search: Pixels) -> ScoreMap:
        with self._student.float_weights():
            return self._scorer.score(search)
