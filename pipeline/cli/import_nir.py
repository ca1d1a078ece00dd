"""``monospike import``: a NIR graph from elsewhere becomes a network of integers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer


class Framework(str, Enum):
    """Who writes .nir files, as ``quantize.nir_import.WRITERS``, which loads torch; a test holds them together."""

    spikingjelly = "spikingjelly"
    norse = "norse"
    rockpool = "rockpool"
    mlx_snn = "mlx-snn"
    spyx = "spyx"
    sinabs = "sinabs"
    snntorch = "snntorch"


class ResetKind(str, Enum):
    """What neurons do after a spike: zero is to v_reset, later is in the step after."""

    zero = "zero"
    subtract = "subtract"
    zero_later = "zero-later"
    subtract_later = "subtract-later"


class AtThreshold(str, Enum):
    """Whether a voltage that equals the threshold fires."""

    fires = "fires"
    silent = "silent"


class SpikesAStep(str, Enum):
    """Whether a voltage of several thresholds sends several spikes in a step."""

    one = "one"
    several = "several"


class InputGain(str, Enum):
    """How much of what arrives is added in a step."""

    whole = "whole"
    scaled = "scaled"


@dataclass(frozen=True)
class ImportOptions:
    """Of ``monospike import``."""

    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .nir file, whoever wrote it.")]
    calibrate: Annotated[
        Path,
        typer.Option(
            "--calibrate", help=".npy or .npz (one array an input) of (frame, ...) or (sequence, frame, ...)."
        ),
    ]
    writer: Annotated[
        Framework | None,
        typer.Option("--from", help="Who wrote the file: it is read as that framework ran it.", show_default=False),
    ] = None
    dt: Annotated[
        float | None,
        typer.Option("--dt", help="Seconds of a time step.", show_default="what the file says or shows, or 1e-4"),
    ] = None
    reset: Annotated[
        ResetKind | None,
        typer.Option("--reset", help="What the neurons did after a spike.", show_default="zero, or the framework's"),
    ] = None
    at_threshold: Annotated[
        AtThreshold | None,
        typer.Option(
            "--at-threshold",
            help="Whether a voltage that equals the threshold fires.",
            show_default="silent, or the framework's",
        ),
    ] = None
    spikes: Annotated[
        SpikesAStep | None,
        typer.Option(
            "--spikes", help="How many a neuron sent in one step at most.", show_default="one, or the framework's"
        ),
    ] = None
    gain: Annotated[
        InputGain | None,
        typer.Option(
            "--input",
            help="Whether input is added whole, or scaled by the step over the time constant.",
            show_default="as r and w_in say, or the framework's",
        ),
    ] = None
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder to write.", show_default="runs/import/ and the file's name")
    ] = None
    strict: Annotated[
        bool,
        typer.Option("--strict", help="End with 1 where a layer is silent or saturated, or an output never changes."),
    ] = False


def import_nir(options: ImportOptions) -> None:
    """Turn a NIR graph in floating point into a network of integers, and say what each approximation costs.

    Writes network.nir, report.json and report.html. A graph with nodes that cannot be done ends with 2 and a list of
    all of them.
    """
    # Imported here because it loads torch, for which --help should not wait.
    from pipeline.core.progress import Progress
    from pipeline.deploy.nir_import.report import as_text
    from pipeline.deploy.nir_import.run import import_file
    from quantize.nir_import import Choices

    progress = Progress()
    folder = options.out or Path("runs/import") / options.file.stem
    choices = Choices(
        reset=None if options.reset is None else options.reset.value,
        fires_at_threshold=None if options.at_threshold is None else options.at_threshold is AtThreshold.fires,
        several=None if options.spikes is None else options.spikes is SpikesAStep.several,
        gain=None if options.gain is None else options.gain.value,
    )
    _, report = import_file(
        options.file,
        options.calibrate,
        folder,
        progress,
        options.dt,
        None if options.writer is None else options.writer.value,
        choices,
    )
    for line in as_text(report):
        progress.say(line)
    progress.say(f"network and report are in {folder}")
    if options.strict and report["warnings"]:
        raise typer.Exit(1)
