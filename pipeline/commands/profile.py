"""``monospike profile``: what a network costs on a chip, by real frames."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from netx.errors import MonospikeError


def profile(
    net: Annotated[
        Path, typer.Argument(metavar="NETWORK", help="A .net or .nir file, a folder of parts, or a packaged model.")
    ],
    chip: Annotated[str, typer.Option("--chip", help="A chip of the package, such as loihi2, or a file NAME.yaml.")],
    frames: Annotated[
        Path, typer.Option("--frames", help="Real frames: an .npy or .npz file, or a folder of them or of pictures.")
    ],
    out: Annotated[Path | None, typer.Option("--out", help="JSON to write: fit, operations, joules, seconds.")] = None,
    table: Annotated[Path | None, typer.Option("--csv", help="CSV to write: a row for each layer.")] = None,
    svg: Annotated[Path | None, typer.Option("--svg", help="Picture of the chip to write.")] = None,
    chips: Annotated[int, typer.Option("--chips", min=1, max=1000, help="Chips that there are.")] = 1,
    place: Annotated[
        bool, typer.Option("--place", help="Put cores that talk to each other close together; else row by row.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the placements that --place tries.")] = 0,
    steps: Annotated[int, typer.Option("--steps", min=1, max=100_000, help="Time steps that a frame takes.")] = 1,
    step_time: Annotated[
        float | None,
        typer.Option("--step-time", help="Measured microseconds of a time step, instead of reckoned ones."),
    ] = None,
    layers: Annotated[int | None, typer.Option(min=1, help="Read only as many layers of a lava-dl file.")] = None,
) -> None:
    """Map a network on a chip, run real frames in the exact engine, and say what they cost there.

    Counts what every core does; prices it with the chip's file, in low, typical and high. Ends with 1 when the network
    breaks a design rule of the chip; what is asked for is written all the same.
    """
    # Imported here because they load torch or scipy, for which --help should not wait.
    from pipeline.planning import Question, chip_name, csv_text, make_plan, plan_values, read_frames, summary_lines
    from pipeline.planning.files import json_text, plan_svg, write_text
    from pipeline.progress import Progress
    from pipeline.simulate import How, programmed, read_network, simulate
    from sim.hardware import load_chip
    from sim.mapping.placement import TRIED

    if step_time is not None and not 0 < step_time < 1e9:
        raise MonospikeError(f"--step-time {step_time}: expected microseconds above 0")
    progress, described = Progress(), load_chip(chip)
    network = read_network(net, layers)
    network, values = programmed(network, read_frames(frames, network))
    simulated = simulate(network, values, How(), progress)
    if simulated.recording is None or simulated.done < simulated.frames:
        raise MonospikeError("stopped before all frames were run; nothing was written")
    seconds = None if step_time is None else step_time * 1e-6
    question = Question(chip_name(chip), described, chips, place, seed, steps, seconds)
    with progress.task("placements tried", TRIED) as task:
        plan = make_plan(network, values, simulated.recording, question, task.reach)
    for line in summary_lines(plan):
        progress.say(line)
    if out is not None:
        write_text(out, json_text(plan_values(plan)))
    if table is not None:
        write_text(table, csv_text(plan))
    if svg is not None:
        write_text(svg, plan_svg(plan))
    for violation in plan.mapping.violations:
        progress.say(f"{violation.rule}: {violation.where}: {violation.mend}")
    if not plan.mapping.fits:
        raise typer.Exit(1)
