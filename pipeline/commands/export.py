"""``monospike export``: a network as the file that another framework reads."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from netx.bundle import load
from netx.errors import MonospikeError
from netx.export import READERS, export

Reader = Enum("Reader", {name: name for name in (*READERS, "c")}, type=str)  # type: ignore[misc]


def export_command(
    source: Annotated[Path, typer.Argument(metavar="NET", help="A .net or .nir file, or a folder of them.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="A .net or .nir file, or a folder for several chains.")],
    reader: Annotated[Reader, typer.Option("--for", help="Who is to read it.")],
    frames: Annotated[
        Path | None, typer.Option("--frames", help="With --for c: golden frames, .npy or .npz; drawn otherwise.")
    ] = None,
    count: Annotated[int, typer.Option("--golden", min=1, help="With --for c: golden frames at most.")] = 4,
    seed: Annotated[int, typer.Option(help="Of what is drawn.")] = 0,
) -> None:
    """Write a network for lava-dl (.net), norse, snnTorch or sinabs (.nir), so that it gives the same spikes there.

    --for c writes a folder of C11 that needs no library and checks itself on golden frames.
    What the reader cannot run is refused, all at once and in its name; nothing is written then.
    """
    if reader.value == "c":
        # Imported here because it loads torch, for which --help should not wait.
        from pipeline.export_c import export_c
        from pipeline.simulate import read_network

        export_c(read_network(source), target, frames, count, seed)
    elif frames is not None:
        raise MonospikeError("--frames: golden frames are for --for c")
    else:
        export(load(source), target, reader.value)
    typer.echo(f"{target}: for {reader.value}")
