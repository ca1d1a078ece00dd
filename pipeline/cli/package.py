"""``monospike package`` and ``monospike models``: trained models that come with the package."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


@dataclass(frozen=True)
class PackageOptions:
    """Of ``monospike package``."""

    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished training, or a checkpoint.")]
    name: Annotated[str, typer.Option("--as", help="What the model is called, such as small-s4-kd.")]
    model: Annotated[str | None, typer.Option("--model", help="Which one, where the training has several.")] = None
    results: Annotated[Path | None, typer.Option("--results", help="results.json of the study that judged it.")] = None
    into: Annotated[
        Path | None, typer.Option("--into", help="Folder to put it in.", show_default="the package's own")
    ] = None


def package(options: PackageOptions) -> None:
    """Put a trained model into the package: its weights and its card."""
    # Imported here because it loads torch, for which --help should not wait.
    from pipeline.core.progress import Progress
    from pipeline.model_zoo.names import FOLDER
    from pipeline.model_zoo.package import package as write

    folder = write(options.run, options.name, options.model, options.results, options.into or FOLDER)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    Progress().say(f"{options.name} is in {folder}: {size / 1e6:.1f} MB")


def models() -> None:
    """List the trained models that come with the package, with their scores."""
    from pipeline.model_zoo.card import score_lines
    from pipeline.model_zoo.names import card, packaged

    console = Console(soft_wrap=True, highlight=False)
    for name in packaged():
        said = card(name)
        steps = said["time_steps"]
        kind = "not spiking" if steps is None else f"spiking, {steps} time step{'s' * (steps > 1)}"
        console.print(f"{name}: {kind}, {said['parameters']:,} parameters")
        for line in score_lines(said):
            console.print(f"  {line}")
