"""``monospike track``: a tracker on one sequence or video."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from netx.files import check_places, write_whole
from pipeline.cli.options import ConfigOption, TrackerOption, WeightsOption, tracker_called, tracker_settings

if TYPE_CHECKING:
    from pipeline.tasks.tracking.tracker import Tracker


@dataclass(frozen=True)
class TrackOptions:
    """Of ``monospike track``."""

    source: Annotated[
        Path,
        typer.Argument(
            metavar="SEQUENCE_OR_VIDEO",
            help="Folder in OTB's layout, folder of pictures, composed sequence (.npz), or a video OpenCV can decode.",
        ),
    ]
    box: Annotated[
        str | None,
        typer.Option("--box", help="x,y,width,height of the object in the first frame; else its ground truth's."),
    ] = None
    tracker: TrackerOption = "demo"
    engine: Annotated[str, typer.Option("--engine", help="float, integer or both: the form of a student.")] = "both"
    out: Annotated[Path, typer.Option("--out", help="Folder for the boxes and the animation.")] = Path("runs/track")
    weights: WeightsOption = None
    config: ConfigOption = None


def track(options: TrackOptions) -> None:
    """Follow an object and write its boxes (OTB's text format) and an annotated GIF.

    Pixels of --box and of what is written count from 1 where the video is a folder in OTB's layout, as in its ground
    truth, else from 0. Interrupted, it still writes what it has followed, and ends with 1.
    """
    from pipeline.core.progress import Progress
    from pipeline.datasets.annotations import moved
    from pipeline.datasets.video_source import open_video
    from pipeline.report.animation import Animation
    from pipeline.tasks.tracking.track_video import first_box, mean_iou, parsed_box, track_video

    video, progress, animation = open_video(options.source), Progress(), Animation()
    start = first_box(video, parsed_box(options.box))
    trackers = _trackers(options.tracker, options.engine, options.config, options.weights)
    picture = options.out / f"{video.name}.gif"
    check_places(picture)
    followed, whole = track_video(video, start, trackers, animation, progress)
    for label, result in followed.items():
        lines = [",".join(f"{value:.4f}" for value in box) for box in moved(result.boxes, video.origin)]
        _write(options.out / f"{video.name}-{label}.txt", ("\n".join(lines) + "\n").encode())
        truth = f", mean IoU {mean_iou(result, video.boxes):.3f}" if video.annotated else ""
        frames = len(result.boxes)
        progress.say(f"{label}: {frames} frames, {result.frames_per_second:.1f} frames/s{truth}")
    if len(video) > frames:
        how = f"{frames} could be decoded" if whole else f"and was interrupted after {frames}"
        progress.say(f"{options.source}: announces {len(video)} frames, {how}")
    _write(picture, animation.gif())
    progress.say(f"boxes and {picture.name} are in {options.out}")
    if not whole:
        raise typer.Exit(1)


def _trackers(name: str, engine: str, config: Path | None, weights: Path | None) -> dict[str, Tracker]:
    """The trackers to run, by the label of their boxes."""
    from pipeline.tasks.tracking.trackers import REFERENCES, engine_called, open_tracker

    called = tracker_called(name)
    settings = tracker_settings(called, config)
    if name in REFERENCES:
        form = engine_called("float" if engine == "both" else engine)
        return {name: open_tracker(called, form, settings, weights)}
    engines = ("float", "integer") if engine == "both" else (engine,)
    return {label: open_tracker(called, engine_called(label), settings, weights) for label in engines}


def _write(path: Path, content: bytes) -> None:
    with write_whole(path) as temporary:
        temporary.write_bytes(content)
