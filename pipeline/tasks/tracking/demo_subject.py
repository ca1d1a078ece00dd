"""The student of a run's own configuration as the subject of a search."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.tasks.tracking.demo_config import DEMO_TRACKER
from pipeline.tasks.tracking.demo_deployed import OwnStudent
from pipeline.tasks.tracking.demo_scorers import StudentScorer
from pipeline.tasks.tracking.demo_tracker import stored_config
from pipeline.tasks.tracking.demo_train import load_checkpoint
from pipeline.tasks.tracking.predictor import Pixels, Scorer
from pipeline.tasks.tracking.real_valued import RealValued
from pipeline.tasks.tracking.subject import Subject


def open_own(checkpoint: Path) -> Subject:
    """Raises FormatError when the file holds no student."""
    return OwnSubject(OwnStudent(load_checkpoint(checkpoint, stored_config(checkpoint)), DEMO_TRACKER))


class OwnSubject(Subject):
    """See ``Subject``."""

    def __init__(self, deployed: OwnStudent) -> None:
        super().__init__(deployed)
        self._student = deployed.student

    def reference(self) -> Scorer:
        return RealValued(self._student, StudentScorer(self._student))

    def _entering(self, pixels: Pixels) -> np.ndarray:
        return pixels.astype(np.int32)
