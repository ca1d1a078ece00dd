"""``monospike configs``: the configurations that come with the package."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from netx.errors import MonospikeError
from netx.files import write_whole
from pipeline.core.progress import echo


@dataclass(frozen=True)
class ConfigsOptions:
    """Of ``monospike configs``."""

    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Those to copy; without any, all are listed.")
    ] = None
    to: Annotated[Path, typer.Option("--to", help="Folder to copy them to.")] = Path()
    force: Annotated[bool, typer.Option("--force", help="Write over files that are there.")] = False


def configs(options: ConfigsOptions) -> None:
    """List the configurations that come with the package, or copy some, to be changed.

    Commands that take a CONFIG find these by their names: monospike deploy demo.
    """
    from pipeline.core.config import about, shipped_configs

    shipped = shipped_configs()
    if not options.names:
        table = Table("name", "what it is", box=None)
        for name, path in shipped.items():
            table.add_row(name, escape(about(path).partition(". ")[0].rstrip(".")))
        Console().print(table)
        return
    if unknown := [name for name in options.names if name not in shipped]:
        raise MonospikeError(f"there is no configuration {unknown[0]!r}; there are {', '.join(shipped)}")
    targets = {name: options.to / f"{name}.yaml" for name in options.names}
    if not options.force and (there := [path for path in targets.values() if path.exists()]):
        raise MonospikeError(f"{there[0]}: is there already; --force writes over it")
    for name, path in targets.items():
        with write_whole(path) as temporary:
            temporary.write_bytes(shipped[name].read_bytes())
        echo(path)
