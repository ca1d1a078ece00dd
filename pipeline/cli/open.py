"""``monospike open``: a page on this machine that follows a run or a training."""

from __future__ import annotations

import os
import sys
import webbrowser
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.options import RunArgument, RunsOption, run_called
from pipeline.core.progress import echo


@dataclass(frozen=True)
class OpenOptions:
    """Of ``monospike open``."""

    run: RunArgument
    runs: RunsOption = Path("runs")
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Of this machine, where the page is; 0: any free one.")
    ] = 8765
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Whether to open the page.")] = True


def open_command(options: OpenOptions) -> None:
    """Show a run on a page of this machine alone, which follows it while it goes on: stages, losses, spikes, chips.

    Nothing in the run's folder is changed. Ctrl-C ends it.
    """
    from pipeline.viewer.live.server import Server

    with Server(run_called(options.run, options.runs), options.port) as server:
        echo(f"{server.address} shows it to this machine alone, until Ctrl-C")
        if options.browser and not _browser_opened(server.address):
            echo("no browser could be started here: open the address in one yourself")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            echo("ended")


def _browser_opened(address: str) -> bool:
    # Without a screen Python would start a browser for terminals, in this one.
    if sys.platform == "linux" and not any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")):
        return False
    return webbrowser.open(address)
