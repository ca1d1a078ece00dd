"""``monospike simulate``: a network in the exact engine."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from netx.errors import MonospikeError
from netx.files import check_places
from pipeline.cli.options import InputShapeOption, LayersOption, parsed_shape
from pipeline.core.progress import Progress


class SumsOption(str, Enum):
    """The exact types of sim.kernels, which loads torch and so is not imported for --help."""

    int8 = "int8"
    float32 = "float32"
    float64 = "float64"
    int64 = "int64"


@dataclass(frozen=True)
class SimulateOptions:
    """Of ``monospike simulate``."""

    net: Annotated[
        Path, typer.Argument(metavar="NET", help="A .net or .nir file, a folder of them, or a packaged model.")
    ]
    source: Annotated[
        Path,
        typer.Option(
            "--input", help=".npy (frame, channel, height, width), or .npz with one such array for each input."
        ),
    ]
    steps: Annotated[int | None, typer.Option(min=1, help="Steps to run; a single frame is held for all of them.")] = (
        None
    )
    out: Annotated[Path | None, typer.Option(help="Recording to write (.npz).")] = None
    nirdata: Annotated[
        Path | None, typer.Option("--nirdata", help="Inputs, spikes and voltages as NIRData (nir 1.0.8, HDF5).")
    ] = None
    strict: Annotated[bool, typer.Option(help="Refuse what only a simulator would let pass.")] = False
    reset: Annotated[int | None, typer.Option(min=1, help="Frames after which LIF neurons forget all.")] = None
    layers: LayersOption = None
    input_shape: InputShapeOption = None
    lava_order: Annotated[bool, typer.Option(help="The input is (column, row, channel, step), as Lava's are.")] = False
    sums: Annotated[
        SumsOption | None, typer.Option(help="Compute all sums in this type; the fastest exact one otherwise.")
    ] = None
    device: Annotated[str, typer.Option(help="cpu or cuda: the same bits.")] = "cpu"


def simulate(options: SimulateOptions) -> None:
    """Run a network on an input in the exact engine and print what each layer did.

    Interrupted, it still writes what it has finished, and ends with 1.
    """
    # Imported here because it loads torch, for which --help should not wait.
    from pipeline.deploy import simulation as running
    from pipeline.model_zoo.networks import read_network
    from sim.frame_files import read_input
    from sim.programming import programmed

    if not re.fullmatch(r"cpu|cuda(:\d+)?", options.device):
        raise MonospikeError(f"--device {options.device}: expected cpu or cuda")
    check_places(options.out, options.nirdata)
    progress = Progress()
    network = read_network(options.net, options.layers, options.reset, parsed_shape(options.input_shape))
    how = running.Mode(options.strict, options.sums.value if options.sums else None, options.device)
    network, frames = programmed(network, read_input(options.source, network, options.steps, options.lava_order))
    for line in running.sums(network, how):
        progress.say(line)
    simulated = running.simulate(network, frames, how, progress)
    for line in running.summary(simulated):
        progress.say(line)
    if options.out is not None and simulated.recording is not None:
        simulated.recording.save(options.out)
        progress.say(f"{simulated.done} of {simulated.frames} frames are in {options.out}")
    if options.nirdata is not None and simulated.recording is not None:
        from sim.nir_data import write_nir_data

        write_nir_data(simulated.recording, network, frames, options.nirdata)
        progress.say(f"{simulated.done} of {simulated.frames} frames are in {options.nirdata}")
    if simulated.done < simulated.frames:
        raise typer.Exit(1)
