"""A scorer that runs on a student's real-valued weights."""

from __future__ import annotations

from typing import Any, Protocol

from pipeline.track import Pixels, ScoreMap, Scorer


class _Student(Protocol):
    def float_weights(self) -> Any:
        """A context within which the student runs on its real-valued weights."""


class RealValued:
    """``scorer``, with ``student`` on its real-valued weights whenever it runs."""

    def __init__(self, student: _Student, scorer: Scorer) -> None:
        self._student, self._scorer = student, scorer

    def program(self, template: Pixels) -> None:
        with self._student.float_weights():
            self._scorer.program(template)

    def score(self, search: Pixels) -> ScoreMap:
        with self._student.float_weights():
            return self._scorer.score(search)
