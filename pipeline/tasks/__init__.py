"""The tasks, a room each, and the recipe by which all of them are trained.

This is the one place that knows their names: everything else is handed a ``pipeline.core.task.Task``.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from netx.errors import MonospikeError

if TYPE_CHECKING:
    from pipeline.core.task import Task

ENTRY_POINTS = "monospike.tasks"
"""Group of entry points by which an installed package brings a task of its own: NAME = module:CLASS."""


DEFAULT = "tracking"
"""The task of configurations and checkpoints that name none: those from before there were several."""


def _tracking() -> Task:
    from pipeline.tasks.tracking.task import Tracking

    return Tracking()


def _detection() -> Task:
    from pipeline.tasks.detection.task import Detection

    return Detection()


def _segmentation() -> Task:
    from pipeline.tasks.segmentation.task import Segmentation

    return Segmentation()


_ROOMS: dict[str, Callable[[], Task]] = {
    "tracking": _tracking,
    "detection": _detection,
    "segmentation": _segmentation,
}
"""Loaded when asked for: a task's room brings torch with it."""


def register(task: type[Task]) -> None:
    """Make a task known by its name, in this process. Raises MonospikeError, naming all of its parts that are missing
    or unnamed, where it is incomplete or its name is taken."""
    missing = sorted(getattr(task, "__abstractmethods__", ()))
    missing += [key for key in ("name", "training_config", "data_config") if not hasattr(task, key)]
    if missing:
        raise MonospikeError(f"the task {task.__name__} lacks {', '.join(missing)}: see pipeline.core.task.Task")
    if task.name in _ROOMS:
        raise MonospikeError(f"there is a task {task.name!r} already; give yours another name")
    _ROOMS[task.name] = task


def task_names() -> list[str]:
    """Of all tasks there are, those of installed packages among them."""
    return sorted({*_ROOMS, *(point.name for point in entry_points(group=ENTRY_POINTS))})


def find_task(name: str) -> Task:
    """The task of that name. Raises MonospikeError with the names there are."""
    if name not in _ROOMS:
        for point in entry_points(group=ENTRY_POINTS, name=name):
            register(point.load())
    if name not in _ROOMS:
        raise MonospikeError(f"there is no task {name!r}; the tasks are {', '.join(task_names())}")
    return _ROOMS[name]()


def task_of(checkpoint: Path) -> Task:
    """The task that a checkpoint says its model is for. Raises FormatError where the file is none, MonospikeError where
    there is no such task."""
    from pipeline.models.safetensors_file import read_metadata  # here, as it loads torch

    name = read_metadata(checkpoint).get("task", DEFAULT)
    try:
        return find_task(name)
    except MonospikeError as error:
        raise MonospikeError(f"{checkpoint}: {error}") from None
