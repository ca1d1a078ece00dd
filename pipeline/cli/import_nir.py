"""``monospike import``: a NIR graph from elsewhere becomes a network of integers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def import_nir(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .nir file of snnTorch, norse, sinabs or any other.")],
    calibrate: Annotated[
        Path,
        typer.Option(
            "--calibrate", help=".npy or .npz (one array an input) of (frame, ...) or (sequence, frame, ...)."
        ),
    ],
    dt: Annotated[
        float | None,
        typer.Option("--dt", help="Seconds of a time step.", show_default="what the file says, or 1e-4"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder to write.", show_default="runs/import/ and the file's name")
    ] = None,
) -> None:
    """Turn a NIR graph in floating point into a network of integers, and say what each approximation costs.

    Writes network.nir, report.json and report.html. A graph with nodes that cannot be done ends with 2 and a list of
    all of them.
    """
    # Imported here because it loads torch, for which --help should not wait.
    from pipeline.core.progress import Progress
    from pipeline.deploy.nir_import.report import as_text
    from pipeline.deploy.nir_import.run import import_file

    progress = Progress()
    folder = out or Path("runs/import") / file.stem
    _, report = import_file(file, calibrate, folder, dt, progress)
    for line in as_text(report):
        progress.say(line)
    progress.say(f"network and report are in {folder}")
