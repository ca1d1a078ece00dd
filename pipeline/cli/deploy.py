"""``monospike deploy`` and ``monospike verify``: the stages of a run, and its proof made again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
import yaml

from netx.errors import MonospikeError
from netx.files import alone_in, as_it_is, write_whole
from pipeline.cli.options import ConfigArgument, ConfigOption, InputShapeOption, RunsOption, parsed_shape
from pipeline.core.config import ConfigError
from pipeline.core.progress import Progress, echo
from pipeline.deploy.layout import CONFIG_FILE, STAGES

if TYPE_CHECKING:
    from pipeline.deploy.config import RunConfig

NETWORK_FILES = (".net", ".nir")


@dataclass(frozen=True)
class DeployOptions:
    """Of ``monospike deploy``."""

    config: ConfigArgument
    first: Annotated[str | None, typer.Option("--from", help="First stage; it is done even if unchanged.")] = None
    last: Annotated[str | None, typer.Option("--until", help="Last stage.")] = None
    retrain: Annotated[bool, typer.Option("--retrain", help="Train from the seed, not from a checkpoint.")] = False
    runs: RunsOption = Path("runs")


def deploy(options: DeployOptions) -> None:
    """Run the stages: data, train, quantize, export, simulate, verify, profile, report.

    A stage whose inputs have not changed is skipped. Ends with 1 when the engines are not identical.
    """
    # Imported here because they load torch and SLAYER, for which --help should not wait.
    from pipeline.deploy.config import load_config
    from pipeline.deploy.run import open_run
    from pipeline.deploy.stages import is_outdated, run_step, select
    from pipeline.deploy.steps import STEPS, found_identical
    from pipeline.deploy.student import training_of
    from pipeline.tasks import find_task

    settings, progress = load_config(options.config), Progress()
    chosen = select(STAGES, options.first, options.last)
    training = training_of(settings.training, find_task(settings.task)) if options.retrain else None
    run = open_run(settings, options.runs / settings.name, progress, training)
    with alone_in(run.folder):
        _write_config(settings, run.folder / CONFIG_FILE)
        for step in STEPS:
            if step.name not in chosen:
                if STAGES.index(step.name) < STAGES.index(chosen[0]) and is_outdated(step, run):
                    progress.say(
                        f"{step.name:8} left as it is, though settings, inputs or program are not what it came from"
                    )
                continue
            progress.say(f"{step.name:8} ...")
            result = run_step(step, run, force=step.name == options.first)
            when = "unchanged, skipped" if result.skipped else f"{result.seconds:.1f} s"
            progress.say(f"{step.name:8} {when}: {result.summary}")
            if step.name in ("verify", "report") and not found_identical(run):
                raise typer.Exit(1)


@dataclass(frozen=True)
class VerifyOptions:
    """Of ``monospike verify``."""

    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN",
            help="A run's folder or YAML configuration; with --sequence a model; with --input or --against a network.",
        ),
    ]
    runs: RunsOption = Path("runs")
    sequence: Annotated[
        Path | None, typer.Option("--sequence", help="Folder or video on which a checkpoint's tracker is verified.")
    ] = None
    box: Annotated[str | None, typer.Option("--box", help="x,y,width,height in its first frame.")] = None
    frames: Annotated[int | None, typer.Option("--frames", min=1, help="Frames to follow; all otherwise.")] = None
    every: Annotated[
        int | None, typer.Option("--every", min=1, help="Compare one frame in so many.", show_default="1")
    ] = None
    reprogram: Annotated[
        int | None, typer.Option("--reprogram", min=1, help="Take the target anew after so many frames.")
    ] = None
    convolution: Annotated[
        str | None,
        typer.Option(
            "--convolution",
            help="stock: Lava's own; fast: a drop-in of the same bits; proven: the drop-in where Lava's own takes "
            "long, once it has given the same bits in this run.",
            show_default="proven",
        ),
    ] = None
    seconds: Annotated[
        float | None, typer.Option("--seconds", min=1, help="Time limit of each run of Lava.", show_default="1800")
    ] = None
    config: ConfigOption = None
    against: Annotated[
        Path | None, typer.Option("--against", help="NIRData of another simulator, held against the network RUN.")
    ] = None
    source: Annotated[
        Path | None,
        typer.Option(
            "--input",
            help="Frames on which the network RUN is held against Lava; or, with --against, where that file has none.",
        ),
    ] = None
    input_shape: InputShapeOption = None


def verify(options: VerifyOptions) -> None:
    """Run every engine anew and compare them bit by bit: on a run's files, or a checkpoint's tracker on a sequence.

    With --input any network's file is run on those frames in the exact engine and in Lava, and every variable of every
    layer is compared. With --against it is held against what another simulator made of it.

    Ends with 0 when all are identical. Ends with 1 when not, and names the first layer, neuron and frame that differ.
    A check of a sequence that was stopped goes on from its last finished part.
    """
    # Imported here because it loads torch, for which --help should not wait.
    from pipeline.cli.verify_sequence import CheckRequest, verify_sequence
    from pipeline.core.task import SequenceRequest
    from pipeline.model_zoo.names import checkpoint_path, packaged

    if options.against is not None:
        from pipeline.deploy.against import said, verify_against

        result = verify_against(
            options.run, options.against, options.source, parsed_shape(options.input_shape), Progress()
        )
        for line in said(result, options.against):
            echo(line)
        if not result.identical:
            raise typer.Exit(1)
        return
    if options.source is not None and options.sequence is not None:
        raise MonospikeError("--input: holds frames for a network; with --sequence a model looks at its own")
    if options.source is not None:
        from pipeline.deploy.network_check import SECONDS, identical_in_lava

        _refuse_others(options, ("box", "frames", "every", "reprogram", "convolution", "config"))
        shape, seconds = parsed_shape(options.input_shape), options.seconds or SECONDS
        identical = identical_in_lava(options.run, options.source, Progress(), seconds=seconds, input_shape=shape)
    elif options.sequence is not None:
        request = SequenceRequest(
            options.sequence, options.box, options.frames, options.every or 1, options.reprogram, options.config
        )
        check = CheckRequest(
            checkpoint_path(str(options.run)),
            request,
            options.convolution or "proven",
            options.seconds or 1800,
            options.runs / "verify",
        )
        identical = verify_sequence(check).identical
    elif options.run.suffix == ".safetensors" or (str(options.run) in packaged() and not options.run.exists()):
        raise MonospikeError(f"{options.run}: a model is verified on a sequence; name its folder with --sequence")
    elif options.run.suffix in NETWORK_FILES:
        raise MonospikeError(f"{options.run}: a network is verified on frames; name them with --input")
    else:
        _refuse_others(options, ("box", "frames", "every", "reprogram", "convolution", "seconds", "config"))
        identical = _verify_run(options.run, options.runs)
    if not identical:
        raise typer.Exit(1)


def _refuse_others(options: VerifyOptions, names: tuple[str, ...]) -> None:
    for name in names:
        if getattr(options, name) is not None:
            raise MonospikeError(f"--{name}: is for a check with --sequence; a run has its own in its configuration")


def _verify_run(where: Path, runs: Path) -> bool:
    """Whether all engines are identical, run anew on the files of a run: its folder, or its configuration."""
    from pipeline.deploy.config import load_config
    from pipeline.deploy.run import open_run
    from pipeline.deploy.steps import verify_again

    progress = Progress()
    try:
        settings = load_config(where / CONFIG_FILE if where.is_dir() else where)
    except ConfigError as error:
        if not where.is_dir() or not (where / CONFIG_FILE).is_file():
            raise
        raise ConfigError(
            f"{error}\n{where}: is the run of another release; run monospike deploy again with its configuration"
        ) from None
    folder = where if where.is_dir() else runs / settings.name
    with as_it_is(folder):
        verdict = verify_again(open_run(settings, folder, progress))
    progress.say(verdict.message())
    return verdict.identical


def _write_config(config: RunConfig, path: Path) -> None:
    with write_whole(path) as temporary:
        temporary.write_text(yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False), encoding="utf-8")
