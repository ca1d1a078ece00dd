"""``monospike graph``: a file's graph as a picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from netx.files import write_whole
from pipeline.core.progress import echo


@dataclass(frozen=True)
class GraphOptions:
    """Of ``monospike graph``."""

    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .nir file of anybody, a .net file or a folder.")]
    out: Annotated[Path, typer.Option("--svg", help="Picture to write.")]


def graph(options: GraphOptions) -> None:
    """Draw the graph of a file as SVG: layers in rows that lead down, what closes a cycle dashed."""
    from netx.graph_svg import picture_of_file, svg

    picture = picture_of_file(options.file)
    text = svg(picture)
    with write_whole(options.out) as temporary:
        temporary.write_text(text, encoding="utf-8")
    echo(f"{options.out}: {len(picture.boxes)} nodes, {len(picture.edges)} edges")
