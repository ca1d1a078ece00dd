"""``monospike profile``: what a network costs on a chip, by real frames."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from netx.errors import MonospikeError
from netx.files import check_places
from pipeline.cli.options import (
    ChipOption,
    ChipsOption,
    InputShapeOption,
    LayersOption,
    NetworkArgument,
    PlaceOption,
    PlaceSeedOption,
    SvgOption,
    parsed_shape,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from netx import Network
    from pipeline.core.progress import Progress
    from sim.recording import Recording


@dataclass(frozen=True)
class ProfileOptions:
    """Of ``monospike profile``."""

    net: NetworkArgument
    chip: ChipOption
    frames: Annotated[
        Path | None,
        typer.Option("--frames", help="Real frames: an .npy or .npz file, or a folder of them or of pictures."),
    ] = None
    sequence: Annotated[
        Path | None,
        typer.Option("--sequence", help="Folder or video that a model follows its target through, instead."),
    ] = None
    box: Annotated[str | None, typer.Option("--box", help="x,y,width,height in its first frame.")] = None
    most: Annotated[int, typer.Option("--most", min=1, help="Frames of --sequence to follow.")] = 20
    out: Annotated[Path | None, typer.Option("--out", help="JSON to write: fit, operations, joules, seconds.")] = None
    table: Annotated[Path | None, typer.Option("--csv", help="CSV to write: a row for each layer.")] = None
    svg: SvgOption = None
    chips: ChipsOption = 1
    place: PlaceOption = False
    seed: PlaceSeedOption = 0
    steps: Annotated[int, typer.Option("--steps", min=1, max=100_000, help="Time steps that a frame takes.")] = 1
    step_time: Annotated[
        float | None,
        typer.Option("--step-time", help="Measured microseconds of a time step, instead of reckoned ones."),
    ] = None
    layers: LayersOption = None
    input_shape: InputShapeOption = None


def profile(options: ProfileOptions) -> None:
    """Map a network on a chip, run real frames in the exact engine, and say what they cost there.

    Counts what every core does; prices it with the chip's file, in low, typical and high. Ends with 1 when the network
    breaks a design rule of the chip; what is asked for is written all the same.
    """
    # Imported here because they load torch or scipy, for which --help should not wait.
    from pipeline.core.files import json_text, write_text
    from pipeline.core.progress import Progress
    from pipeline.core.task import SequenceRequest
    from pipeline.model_zoo.names import checkpoint_path
    from pipeline.planning.files import plan_svg
    from pipeline.planning.frames import watched
    from pipeline.planning.plan import Question, chip_name, make_plan
    from pipeline.planning.values import csv_text, plan_values, summary_lines
    from pipeline.tasks import task_of
    from sim.hardware import load_chip
    from sim.mapping.placement import TRIED

    if options.step_time is not None and not 0 < options.step_time < 1e9:
        raise MonospikeError(f"--step-time {options.step_time}: expected microseconds above 0")
    check_places(options.out, options.table, options.svg)
    progress, described = Progress(), load_chip(options.chip)
    if options.frames is not None and options.sequence is None:
        if options.box is not None:
            raise MonospikeError("--box: is where a target starts in a sequence; give --sequence in place of --frames")
        network, values, recording = _run(options, options.frames, progress)
    elif options.sequence is not None and options.frames is None:
        if options.layers is not None:
            raise MonospikeError("--layers: is for a lava-dl file; a model that follows --sequence has all of its own")
        checkpoint = checkpoint_path(str(options.net))
        request = SequenceRequest(options.sequence, options.box, options.most)
        followed = task_of(checkpoint).follow(checkpoint, request, progress)
        network, values, recording = watched(followed)
    else:
        raise MonospikeError("give real frames with --frames or, of a tracker, a sequence to follow with --sequence")
    seconds = None if options.step_time is None else options.step_time * 1e-6
    question = Question(
        chip_name(options.chip), described, options.chips, options.place, options.seed, options.steps, seconds
    )
    with progress.task("placements tried", TRIED) as task:
        plan = make_plan(network, values, recording, question, task.reach)
    for line in summary_lines(plan):
        progress.say(line)
    if options.out is not None:
        write_text(options.out, json_text(plan_values(plan)))
    if options.table is not None:
        write_text(options.table, csv_text(plan))
    if options.svg is not None:
        write_text(options.svg, plan_svg(plan))
    for violation in plan.mapping.violations:
        progress.say(str(violation))
    if not plan.mapping.fits:
        raise typer.Exit(1)


def _run(
    options: ProfileOptions, frames: Path, progress: Progress
) -> tuple[Network, Mapping[str, npt.NDArray], Recording]:
    """The network of a file, programmed where it needs to be; its frames; and what it did with them."""
    from pipeline.deploy.simulation import Mode, simulate
    from pipeline.model_zoo.networks import read_network
    from pipeline.planning.frames import read_frames
    from sim.programming import programmed

    network = read_network(options.net, options.layers, input_shape=parsed_shape(options.input_shape))
    network, values = programmed(network, read_frames(frames, network))
    simulated = simulate(network, values, Mode(), progress)
    if simulated.recording is None or simulated.done < simulated.frames:
        raise MonospikeError("stopped before all frames were run; nothing was written")
    return network, values, simulated.recording
