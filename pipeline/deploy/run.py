"""A run: its configuration and folder, and what its stages share, each made once, when the first asks for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from netx import Network
from netx.bundle import load
from netx.errors import FormatError
from netx.text_files import read_json
from pipeline.core.config import Section
from pipeline.core.files import file_digest
from pipeline.core.progress import Progress
from pipeline.core.provenance import modules_digest
from pipeline.core.reach import reached
from pipeline.core.task import Deployable, Target, Task
from pipeline.deploy.config import RunConfig
from pipeline.deploy.layout import recording_file
from pipeline.deploy.stages import StageError
from pipeline.experiments.dse.results import read_results
from pipeline.model_zoo.names import checkpoint_path
from pipeline.tasks import find_task
from sim.hardware import load_chip
from sim.recording import Recording

FORMATS: tuple[Literal["net"], Literal["nir"]] = ("net", "nir")


def open_run(config: RunConfig, folder: Path, progress: Progress, training: Section | None = None) -> Run:
    """The run of a configuration. training: of the student, where it is not to be taken as it is.

    Raises MonospikeError where a file that the configuration names is missing or wrong.
    """
    task = find_task(config.task)
    searched = None if config.search is None else read_results(config.search)
    values: dict[str, Any] = config.model_dump(mode="json")
    priced = {*config.profile.chips, *config.profile.energy}
    values["data"] = [values["data"], task.data_stamp(config.data)]
    values["processing"] = values.pop(task.processing_key)
    values["search"] = searched
    values["profile"]["read"] = {name: load_chip(name).model_dump(mode="json") for name in priced}
    if training is None:
        values["model"] = [values["model"], file_digest(checkpoint_path(config.model))]
        values["training"] = None
    else:
        values["training"] = training.model_dump(mode="json")
    return Run(config, folder, progress, task, training, values, searched)


@dataclass(eq=False)
class Run:
    """One run. Its stages read from here what those before them have left.

    training: the task's configuration by which the student is trained again; None where it is taken as it is.
    settings: what stages depend on, by name: the configuration, and what of it stands in files. searched: what the
    search found whose folder the configuration names.
    """

    config: RunConfig
    folder: Path
    progress: Progress
    task: Task
    training: Any
    settings: Mapping[str, Any]
    searched: dict[str, Any] | None

    @property
    def checkpoint(self) -> Path:
        """Where the student lies that is deployed."""
        return self.folder / "train" / "student.safetensors"

    @property
    def samples_folder(self) -> Path:
        """Where the samples lie that the run is evaluated on."""
        return self.folder / "data"

    @cached_property
    def samples(self) -> Sequence[Any]:
        """What the run is evaluated on. Raises StageError where there is nothing."""
        if not self.samples_folder.is_dir():
            raise StageError(
                f"{self.samples_folder}: holds no samples; run monospike deploy first, or again with --from data"
            )
        return self.task.read_samples(self.samples_folder)

    @cached_property
    def deployable(self) -> Deployable:
        """The student, with what the host does around it."""
        return self.task.deployable(self.checkpoint)

    @cached_property
    def network(self) -> Network:
        """Its integers, as read back from files."""
        return load(self.folder / "quantize" / "network")

    @cached_property
    def targets(self) -> Mapping[str, Target]:
        """What runs on the chip, by name, each with the frames on which all engines have to agree."""
        samples = self.samples  # first, so that a run that has not been made is told from a damaged one
        return self.deployable.targets(self.network, samples, self.config.simulate.frames, self.config.seed)

    @cached_property
    def on_the_engine(self) -> Mapping[str, Recording]:
        """What the exact engine did with the frames of every target."""
        return self.recordings("engine")

    def exports(self, format_: str) -> dict[str, Path]:
        """The folder of every target's network in one format."""
        return {name: self.folder / "export" / f"{name}-{format_}" for name in self.targets}

    def recorded(self, engine: str, target: str) -> Path:
        """The file of what an engine did with a target's frames."""
        return self.folder / recording_file(engine, target)

    def recordings(self, engine: str) -> dict[str, Recording]:
        """What an engine did, by target. Raises FormatError where a file is damaged."""
        return {name: Recording.load(self.recorded(engine, name)) for name in self.targets}

    def written(self, file: str) -> Any:
        """The JSON values that a stage has left in a file of the run's folder. Raises FormatError that names the file
        and the stage where it is damaged."""
        try:
            return read_json(self.folder / file)
        except FormatError as error:
            raise self.damaged(file, str(error)) from None

    def damaged(self, file: str, why: str) -> FormatError:
        """The error that what a stage has left in a file of the run's folder is something else."""
        where, stage = self.folder / file, file.partition("/")[0]
        return FormatError(f"{where}: {why.removeprefix(f'{where}: ')}; run monospike deploy again with --from {stage}")

    def code(self, function: Callable[..., Any]) -> str:
        """Digest of the code that a step's function reaches in this run's task."""
        return modules_digest(*reached(function, type(self.task)))
