"""The spiking student as a tracker: on its real-valued weights, or as a network of integers on the exact engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from netx import prove_headroom
from netx.errors import FormatError
from pipeline.models.safetensors_file import read_metadata
from pipeline.tasks.tracking.config import TrackerConfig
from pipeline.tasks.tracking.demo_config import StudentConfig
from pipeline.tasks.tracking.demo_convert import to_network
from pipeline.tasks.tracking.demo_scorers import NetworkScorer, StudentScorer
from pipeline.tasks.tracking.demo_train import geometry_of, load_checkpoint
from pipeline.tasks.tracking.predictor import Siamese
from pipeline.tasks.tracking.real_valued import RealValued

Engine = Literal["float", "integer"]


def student_tracker(checkpoint: Path, engine: Engine, settings: TrackerConfig) -> Siamese:
    """The student in a checkpoint, whose architecture stands in the file itself.

    engine: ``float`` runs the real-valued weights, ``integer`` the network of Loihi integers, every accumulator proven.
    Raises FormatError when the file is missing or no student's, HeadroomError when the proof fails.
    """
    student = load_checkpoint(checkpoint, stored_config(checkpoint))
    if engine == "float":
        return Siamese(RealValued(student, StudentScorer(student)), geometry_of(student.config), settings)
    network = to_network(student)
    prove_headroom(network)
    return Siamese(NetworkScorer(network, student), geometry_of(student.config), settings)


def stored_config(checkpoint: Path) -> StudentConfig:
    """The configuration that a checkpoint carries. Raises FormatError when there is none, or not a student's."""
    metadata = read_metadata(checkpoint)
    if "student" not in metadata:
        raise FormatError(f"{checkpoint}: does not say which student it holds (its metadata has no 'student')")
    try:
        return StudentConfig.model_validate_json(json.dumps(json.loads(metadata["student"])))
    except (ValidationError, ValueError) as error:
        raise FormatError(f"{checkpoint}: its student's configuration is not one of ours ({error})") from None
