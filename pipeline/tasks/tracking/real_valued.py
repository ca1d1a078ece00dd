"""A scorer that runs on a student's real-valued weights."""

from __future__ import annotations

from pipeline.models.quantisation import QuantisedModule
from pipeline.tasks.tracking.predictor import Pixels, ScoreMap, Scorer


class RealValued:
    """``scorer``, with ``student`` on its real-valued weights whenever it runs."""

    def __init__(self, student: QuantisedModule, scorer: Scorer) -> None:
        self._student, self._scorer = student, scorer

    def program(self, template: Pixels) -> None:
        with self._student.float_weights():
            self._scorer.program(template)

    def score(self, search: Pixels) -> ScoreMap:
        with self._student.float_weights():
            return self._scorer.score(search)
