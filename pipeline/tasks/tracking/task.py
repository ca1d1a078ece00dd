"""Siamese tracking as a task: its parts under the names that the pipeline asks for them."""

from __future__ import annotations

from pipeline.core.task import Task


class Tracking(Task):
    """SiamFC++ teachers and their spiking students."""

    name = "tracking"

    # Training.

    # Deployment.
