"""``monospike export``: a network as the file that another framework reads."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from netx.bundle import FileFormat, save
from netx.errors import MonospikeError
from netx.export import READERS, export, usage
from pipeline.cli.options import InputShapeOption, parsed_shape
from pipeline.core.progress import echo
from pipeline.model_zoo.networks import read_network

OWN: tuple[FileFormat, ...] = ("net", "nir")
"""Formats in which a network is written for monospike itself."""

Reader = Enum("Reader", {name: name for name in (*READERS, *OWN, "c", "sanafe")}, type=str)  # type: ignore[misc]


@dataclass(frozen=True)
class ExportOptions:
    """Of ``monospike export``."""

    source: Annotated[Path, typer.Argument(metavar="NET", help="A .net or .nir file, a folder of them, or a model.")]
    target: Annotated[Path, typer.Argument(metavar="OUT", help="A .net or .nir file, or a folder for several chains.")]
    reader: Annotated[Reader, typer.Option("--for", help="Who is to read it.")]
    frames: Annotated[
        Path | None, typer.Option("--frames", help="With --for c or sanafe: frames, .npy or .npz; drawn otherwise.")
    ] = None
    count: Annotated[int, typer.Option("--golden", min=1, help="With --for c or sanafe: frames at most.")] = 4
    seed: Annotated[int, typer.Option(help="Of what is drawn.")] = 0
    chip: Annotated[str, typer.Option(help="With --for sanafe: a chip of the package, or a file NAME.yaml.")] = (
        "loihi1_sanafe"
    )
    mapping: Annotated[
        Path | None, typer.Option("--mapping", help="With --for sanafe: what map --out wrote; mapped anew otherwise.")
    ] = None
    input_shape: InputShapeOption = None


def export_command(options: ExportOptions) -> None:
    """Write a network for lava-dl (.net), norse, snnTorch, sinabs or spikingjelly (.nir), with the same spikes there.

    --for net and nir write it for monospike itself, also what nobody else runs as it is, such as a tracker.
    --for c writes a folder of C11 that needs no library and checks itself on golden frames, --for sanafe a folder with
    architecture, network, mapping and placement for SANA-FE, and a check.
    What the reader cannot run is refused, all at once and in its name; nothing is written then.
    """
    shape = parsed_shape(options.input_shape)
    if options.reader.value == "c":
        # Imported here because it loads torch, for which --help should not wait.
        from pipeline.deploy.export_c import export_c

        export_c(
            read_network(options.source, input_shape=shape), options.target, options.frames, options.count, options.seed
        )
    elif options.reader.value == "sanafe":
        from pipeline.deploy.export_sanafe import export_sanafe

        written = export_sanafe(
            read_network(options.source, input_shape=shape),
            options.target,
            options.chip,
            options.mapping,
            options.frames,
            options.count,
            options.seed,
        )
        if written.played:
            echo(f"their input is numbers, and their spikes are played back: {', '.join(written.played)}")
        echo(f"{written.steps} steps with {written.spikes} spikes and {written.messages} messages")
    elif options.frames is not None:
        raise MonospikeError("--frames: what is run is for --for c and sanafe")
    elif options.reader.value in OWN:
        save(
            read_network(options.source, input_shape=shape), options.target, format=OWN[OWN.index(options.reader.value)]
        )
    else:
        network = read_network(options.source, input_shape=shape)
        export(network, options.target, options.reader.value)
        reading = usage(network, options.reader.value)
        echo(f"{options.target}: for {reading['reader']}: {reading['call']}; frames {reading['frames']}")
        return
    echo(f"{options.target}: for {options.reader.value}")
