"""``monospike export``: a network as the file that another framework reads."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from netx.bundle import load
from netx.export import READERS, export, usage

Reader = Enum("Reader", {name: name for name in READERS}, type=str)  # type: ignore[misc]


def export_command(
    source: Annotated[Path, typer.Argument(metavar="NET", help="A .net or .nir file, or a folder of them.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="A .net or .nir file, or a folder for several chains.")],
    reader: Annotated[Reader, typer.Option("--for", help="Who is to read it.")],
) -> None:
    """Write a network for lava-dl (.net), norse, snnTorch, sinabs or spikingjelly (.nir), with the same spikes there.

    What the reader cannot run is refused, all at once and in its name; nothing is written then.
    """
    network = load(source)
    export(network, target, reader.value)
    said = usage(network, reader.value)
    typer.echo(f"{target}: for {said['reader']}: {said['call']}; frames {said['frames']}")
