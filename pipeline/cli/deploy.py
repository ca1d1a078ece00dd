"""``monospike deploy`` and ``monospike verify``: the stages of a run, and its proof made again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
import yaml

from netx.errors import MonospikeError
from netx.files import write_whole
from pipeline.cli.options import ConfigArgument, ConfigOption
from pipeline.core.progress import Progress
from pipeline.deploy.config import RunConfig, load_config
from pipeline.deploy.stages import STAGES, is_outdated, run_stage, select

if TYPE_CHECKING:
    from pipeline.deploy.deployment import Deployment

CONFIG_FILE = "config.yaml"
"""In a run's folder: the whole configuration, defaults included."""

RunsOption = Annotated[Path, typer.Option("--runs", help="Folder that holds the runs' folders.")]


def deploy(
    config: ConfigArgument,
    first: Annotated[str | None, typer.Option("--from", help="First stage; it is done even if unchanged.")] = None,
    last: Annotated[str | None, typer.Option("--until", help="Last stage.")] = None,
    retrain: Annotated[bool, typer.Option("--retrain", help="Train from the seed, not from a checkpoint.")] = False,
    runs: RunsOption = Path("runs"),
) -> None:
    """Run the stages: data, train, quantize, export, simulate, verify, profile, report.

    A stage whose inputs have not changed is skipped. Ends with 1 when the engines are not identical.
    """
    settings = load_config(config)
    chosen = select(STAGES, first, last)
    progress = Progress()
    deployment = _deployment(settings, runs / settings.name, progress, retrain)
    _write_config(settings, deployment.folder / CONFIG_FILE)
    for stage in deployment.stages():
        if stage.name not in chosen:
            if STAGES.index(stage.name) < STAGES.index(chosen[0]) and is_outdated(stage, deployment.folder):
                progress.say(
                    f"{stage.name:8} left as it is, though settings, inputs or program are not what it came from"
                )
            continue
        progress.say(f"{stage.name:8} ...")
        outcome = run_stage(stage, deployment.folder, force=stage.name == first)
        when = "unchanged, skipped" if outcome.skipped else f"{outcome.seconds:.1f} s"
        progress.say(f"{stage.name:8} {when}: {outcome.summary}")
        if stage.name in ("verify", "report") and not deployment.identical():
            raise typer.Exit(1)


def verify(
    run: Annotated[
        Path,
        typer.Argument(metavar="RUN", help="A run's folder or YAML configuration; or, with --sequence, a model."),
    ],
    runs: RunsOption = Path("runs"),
    sequence: Annotated[
        Path | None, typer.Option("--sequence", help="Folder or video on which a checkpoint's tracker is verified.")
    ] = None,
    box: Annotated[str | None, typer.Option("--box", help="x,y,width,height in its first frame.")] = None,
    frames: Annotated[int | None, typer.Option("--frames", min=1, help="Frames to follow; all otherwise.")] = None,
    every: Annotated[
        int | None, typer.Option("--every", min=1, help="Compare one frame in so many.", show_default="1")
    ] = None,
    reprogram: Annotated[
        int | None, typer.Option("--reprogram", min=1, help="Take the target anew after so many frames.")
    ] = None,
    convolution: Annotated[
        str | None,
        typer.Option(
            "--convolution", help="stock: Lava's own; fast: a drop-in of the same bits.", show_default="stock"
        ),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", min=1, help="Time limit of each run of Lava.", show_default="1800")
    ] = None,
    config: ConfigOption = None,
    against: Annotated[
        Path | None, typer.Option("--against", help="NIRData of another simulator, held against the network RUN.")
    ] = None,
    source: Annotated[
        Path | None, typer.Option("--input", help="With --against: frames, where the file does not hold them.")
    ] = None,
) -> None:
    """Run every engine anew and compare them bit by bit: on a run's files, or a checkpoint's tracker on a sequence.

    With --against a network's file, run in the exact engine, is held against what another simulator made of it.

    Ends with 0 when all are identical. Ends with 1 when not, and names the first layer, neuron and frame that differ.
    A check of a sequence that was stopped goes on from its last finished part.
    """
    # Imported here because it loads torch, for which --help should not wait.
    from pipeline.cli.verify_sequence import Wanted, verify_sequence
    from pipeline.deploy.verification import in_words
    from pipeline.model_zoo.names import checkpoint_path, packaged

    if against is not None:
        from pipeline.deploy.against import said, verify_against

        result = verify_against(run, against, source, Progress())
        for line in said(result, against):
            typer.echo(line)
        if not result.identical:
            raise typer.Exit(1)
        return
    if source is not None:
        raise MonospikeError("--input: is for a check with --against")
    if sequence is not None:
        model, out = checkpoint_path(str(run)), runs / "verify"
        verdict = verify_sequence(
            Wanted(
                model,
                sequence,
                box,
                frames,
                every or 1,
                reprogram,
                convolution or "stock",
                seconds or 1800,
                config,
                out,
            )
        )
    elif run.suffix == ".safetensors" or (str(run) in packaged() and not run.exists()):
        raise MonospikeError(f"{run}: a model is verified on a sequence; name its folder with --sequence")
    else:
        of_a_sequence: dict[str, object] = {"box": box, "frames": frames, "every": every, "reprogram": reprogram}
        of_a_sequence |= {"convolution": convolution, "seconds": seconds, "config": config}
        for name, value in of_a_sequence.items():
            if value is not None:
                raise MonospikeError(
                    f"--{name}: is for a check with --sequence; a run has its own in its configuration"
                )
        settings = load_config(run / CONFIG_FILE if run.is_dir() else run)
        progress = Progress()
        verdict = _deployment(settings, run if run.is_dir() else runs / settings.name, progress).verify_again()
        progress.say(in_words(verdict))
    if not verdict["identical"]:
        raise typer.Exit(1)


def _deployment(config: RunConfig, folder: Path, progress: Progress, retrain: bool = False) -> Deployment:
    # Imported here because it loads torch and SLAYER, for which --help should not wait.
    from pipeline.deploy.deployment import Deployment

    return Deployment(config, folder, progress, retrain)


def _write_config(config: RunConfig, path: Path) -> None:
    with write_whole(path) as temporary:
        temporary.write_text(yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False), encoding="utf-8")
