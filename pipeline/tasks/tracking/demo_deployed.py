"""The student of a run's own configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from netx import Network
from pipeline.deploy.verification import Target
from pipeline.tasks.tracking.config import TrackerConfig
from pipeline.tasks.tracking.demo_convert import record_search, record_template, to_network
from pipeline.tasks.tracking.demo_scorers import NetworkScorer, StudentScorer
from pipeline.tasks.tracking.demo_student import Student
from pipeline.tasks.tracking.demo_train import geometry_of
from pipeline.tasks.tracking.predictor import Geometry, Scorer
from pipeline.tasks.tracking.real_valued import RealValued
from sim.recording import Recording


@dataclass(frozen=True, eq=False)
class OwnStudent:
    """See ``Deployed``."""

    student: Student
    settings: TrackerConfig

    @property
    def geometry(self) -> Geometry:
        return geometry_of(self.student.config)

    @property
    def chip_geometry(self) -> Geometry:
        return self.geometry

    def network(self) -> Network:
        return to_network(self.student)

    def record(self, target: Target) -> Mapping[str, Recording]:
        template = record_template(self.student, target.frames["template"])
        kernels = template.spikes[target.networks["template"].outputs[0]][0]
        return {"template": template, "search": record_search(self.student, kernels, target.frames["search"])}

    def scorers(self, network: Network) -> Mapping[str, Scorer]:
        by_float = RealValued(self.student, StudentScorer(self.student))
        return {"float": by_float, "integer": NetworkScorer(network, self.student)}
