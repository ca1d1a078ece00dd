"""What the stages of a deployment need to know of a trained student."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from netx import Network
from pipeline.deploy.verification import Target
from pipeline.tasks.tracking.config import TrackerConfig
from pipeline.tasks.tracking.predictor import Geometry, Scorer
from sim.recording import Recording


class Deployed(Protocol):
    """A single-step student, all of it on the chip.

    geometry, settings: of the tracking loop around its scorers. chip_geometry: crops with the pixels that enter the
    chip.
    """

    @property
    def geometry(self) -> Geometry: ...

    @property
    def chip_geometry(self) -> Geometry: ...

    @property
    def settings(self) -> TrackerConfig: ...

    def network(self) -> Network:
        """Its integers. Raises QuantizeError where a value is no integer."""

    def record(self, target: Target) -> Mapping[str, Recording]:
        """What the quantised SLAYER modules do with the target's frames, by branch."""

    def scorers(self, network: Network) -> Mapping[str, Scorer]:
        """``float``: on its real-valued weights; ``integer``: ``network`` on the exact engine."""
