"""Options that commands share, and what they mean."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from netx.errors import MonospikeError, NetworkError
from netx.types import Shape, as_shape
from pipeline.core.config import find_config

if TYPE_CHECKING:
    from pipeline.tasks.detection.predictions import OpenDetector
    from pipeline.tasks.segmentation.predictions import OpenSegmenter
    from pipeline.tasks.tracking.config import TrackerConfig

ConfigArgument = Annotated[
    Path,
    typer.Argument(
        metavar="CONFIG",
        parser=find_config,
        help="YAML file, or the name of one that comes with the package: see monospike configs.",
    ),
]
TrackerOption = Annotated[
    str, typer.Option("--tracker", help="fixed, nanotrack, a packaged model such as demo, or a .safetensors file.")
]
WeightsOption = Annotated[
    Path | None, typer.Option("--weights", help="Folder of NanoTrack v2's ONNX files.", show_default=False)
]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="YAML file whose tracker and benchmarks sections change crops and post-processing."),
]

RunsOption = Annotated[Path, typer.Option("--runs", help="Folder that holds the runs' folders.")]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder, or its name in that of all runs.")]

NetworkArgument = Annotated[
    Path,
    typer.Argument(
        metavar="NETWORK", help="A .net or .nir file, a folder of parts, or a model: packaged, or a .safetensors file."
    ),
]
ChipOption = Annotated[str, typer.Option("--chip", help="A chip of the package, such as loihi2, or a file NAME.yaml.")]
ChipsOption = Annotated[int, typer.Option("--chips", min=1, max=1000, help="Chips that there are.")]
PlaceOption = Annotated[
    bool, typer.Option("--place", help="Put cores that talk to each other close together; else row by row.")
]
PlaceSeedOption = Annotated[int, typer.Option("--seed", min=0, help="Of the placements that --place tries.")]
SvgOption = Annotated[Path | None, typer.Option("--svg", help="Picture of the chip to write.")]
InputShapeOption = Annotated[
    str | None,
    typer.Option(
        "--input-shape",
        help="channel,height,width, for a .net file that begins with a convolution and does not say it.",
    ),
]
LayersOption = Annotated[int | None, typer.Option(min=1, help="Read only as many layers of a lava-dl file.")]
JobsOption = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        min=0,
        help="How much is done at the same time; 0: in this process, without Ray.",
        show_default="all cores, where there is enough to do",
    ),
]
AddressOption = Annotated[
    str | None,
    typer.Option("--address", help="A Ray cluster that runs already, all of which sees these files; --jobs limits it."),
]


def with_options(command: Callable[[Any], None]) -> Callable[..., None]:
    """A command of typer's whose arguments and options are the fields of the dataclass that ``command`` takes."""
    [parameter] = inspect.signature(command).parameters
    kind = get_type_hints(command)[parameter]
    hints = get_type_hints(kind, include_extras=True)

    @functools.wraps(command)
    def run(**values: Any) -> None:
        command(kind(**values))

    del run.__wrapped__  # typer would look at the dataclass, not at its fields
    run.__annotations__ = hints
    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=inspect.Parameter.empty if field.default is dataclasses.MISSING else field.default,
                annotation=hints[field.name],
            )
            for field in dataclasses.fields(kind)
        ]
    )
    return run


def run_called(run: Path, runs: Path) -> Path:
    """The folder of the run that is named by its folder, or by its name in ``runs``. Raises MonospikeError."""
    found = next((folder for folder in (run, runs / run) if folder.is_dir()), None)
    if found is None:
        raise MonospikeError(
            f"{run}: there is no such run, here or in {runs}; monospike runs lists those that there are"
        )
    return found


def parsed_shape(text: str | None) -> Shape | None:
    """``channel,height,width`` as a shape. Raises NetworkError."""
    if text is None:
        return None
    try:
        return as_shape([int(part) for part in text.split(",")], "--input-shape")
    except ValueError:
        raise NetworkError(f"--input-shape {text}: expected channel,height,width") from None


def tracker_called(name: str) -> str:
    """What ``open_tracker`` takes for a tracker of the user's: a reference's name, or a checkpoint's path.

    Raises MonospikeError when there is no such tracker.
    """
    from pipeline.model_zoo.names import checkpoint_path
    from pipeline.tasks.tracking.trackers import REFERENCES

    return name if name in REFERENCES else str(checkpoint_path(name))


def tracker_settings(tracker: str, config: Path | None, benchmark: str | None = None) -> TrackerConfig:
    """Crops and post-processing of a tracker: a model's as saved with it, with what ``config`` changes.

    tracker: as ``tracker_called`` says. Raises MonospikeError when a file is missing or bad, also one whose values the
    tracker has no use for.
    """
    from pipeline.tasks.tracking.checkpoint import load_processing
    from pipeline.tasks.tracking.config import TrackerConfig
    from pipeline.tasks.tracking.settings import read_tracking, settings_for
    from pipeline.tasks.tracking.trackers import REFERENCES

    if tracker not in REFERENCES:
        return settings_for(load_processing(Path(tracker)), config, benchmark, tracker)
    if config is not None:
        read_tracking(config)
    return TrackerConfig()


def open_detector(checkpoint: Path, engine: str) -> OpenDetector:
    """The detector in a checkpoint. engine: ``float`` or ``integer``.

    Raises FormatError where the file is no model's, MonospikeError where its task is not to find objects, or it lacks
    that engine.
    """
    from pipeline.tasks import task_of
    from pipeline.tasks.detection.predictions import OpenDetector

    task = task_of(checkpoint)
    detector = task.predictor(checkpoint, engine)
    if not isinstance(detector, OpenDetector):
        raise MonospikeError(f"{checkpoint}: holds a model for {task.name}, which is no detector")
    return detector


def open_segmenter(model: str, engine: str) -> OpenSegmenter:
    """The segmenter of that name: a reference's, a packaged model's or a checkpoint's path. engine: ``float`` or
    ``integer``; references have one form.

    Raises MonospikeError where there is no such model, it does not follow masks, or lacks that engine, FormatError
    where the file is no model's.
    """
    from pipeline.model_zoo.names import checkpoint_path
    from pipeline.tasks import task_of
    from pipeline.tasks.segmentation.baselines import STILL, StillMask
    from pipeline.tasks.segmentation.predictions import OpenSegmenter

    if engine not in ("float", "integer"):
        raise MonospikeError(f"--engine {engine!r}: expected float or integer")
    if model == STILL:
        return StillMask()
    checkpoint = checkpoint_path(model)
    task = task_of(checkpoint)
    segmenter = task.predictor(checkpoint, engine)
    if not isinstance(segmenter, OpenSegmenter):
        raise MonospikeError(f"{checkpoint}: holds a model for {task.name}, which is no segmenter")
    return segmenter


def segmenter_identity(model: str) -> str:
    """What tells a segmenter from another of its name: a checkpoint's digest, or a reference's name."""
    from pipeline.core.files import file_digest
    from pipeline.model_zoo.names import checkpoint_path
    from pipeline.tasks.segmentation.baselines import STILL

    return STILL if model == STILL else file_digest(checkpoint_path(model))
