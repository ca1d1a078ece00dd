"""The command line."""

from __future__ import annotations

import os
import sys
from enum import Enum
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
import yaml
from rich.console import Console

from netx.errors import MonospikeError
from netx.files import write_whole
from pipeline.commands.evaluate import evaluate
from pipeline.commands.export import export_command
from pipeline.commands.import_nir import import_nir
from pipeline.commands.lint import lint_command
from pipeline.commands.map import map_network
from pipeline.commands.options import ConfigOption
from pipeline.commands.package import models, package
from pipeline.commands.profile import profile
from pipeline.commands.search import search
from pipeline.commands.study import study
from pipeline.commands.track import track
from pipeline.commands.train import train
from pipeline.config import RunConfig, load_config
from pipeline.progress import Progress
from pipeline.stages import STAGES, run_stage, select

if TYPE_CHECKING:
    from pipeline.deploy import Deployment

app = typer.Typer(
    help="Train a single-step spiking tracker, turn it into Loihi integers, prove every spike in Lava, and price it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

CONFIG_FILE = "config.yaml"
"""In a run's folder: the whole configuration, defaults included."""


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(version("monospike"))
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of every command."""


app.command()(evaluate)
app.command("map")(map_network)
app.command()(profile)
app.command("import")(import_nir)
app.command("export")(export_command)
app.command("lint")(lint_command)
app.command()(track)
app.command()(train)
app.command()(study)
app.command()(search)
app.command()(package)
app.command()(models)


RunsOption = Annotated[Path, typer.Option("--runs", help="Folder that holds the runs' folders.")]


@app.command()
def deploy(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="YAML configuration of the run.")],
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
            continue
        progress.say(f"{stage.name:8} ...")
        outcome = run_stage(stage, deployment.folder, force=stage.name == first)
        when = "unchanged, skipped" if outcome.skipped else f"{outcome.seconds:.1f} s"
        progress.say(f"{stage.name:8} {when}: {outcome.summary}")
        if stage.name == "verify" and not deployment.identical():
            raise typer.Exit(1)


@app.command()
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
    every: Annotated[int, typer.Option("--every", min=1, help="Compare one frame in so many.")] = 1,
    reprogram: Annotated[
        int | None, typer.Option("--reprogram", min=1, help="Take the target anew after so many frames.")
    ] = None,
    convolution: Annotated[
        str, typer.Option("--convolution", help="stock: Lava's own; fast: a drop-in of the same bits.")
    ] = "stock",
    seconds: Annotated[float, typer.Option("--seconds", min=1, help="Time limit of each run of Lava.")] = 1800,
    config: ConfigOption = None,
) -> None:
    """Run every engine anew and compare them bit by bit: on a run's files, or a checkpoint's tracker on a sequence.

    Ends with 0 when all are identical. Ends with 1 when not, and names the first layer, neuron and frame that differ.
    A check of a sequence that was stopped goes on from its last finished part.
    """
    # Imported here because it loads torch, for which --help should not wait.
    from pipeline.commands.verify_sequence import Wanted, verify_sequence
    from pipeline.verification import in_words
    from pipeline.weights import checkpoint_path, packaged

    if sequence is not None:
        model, out = checkpoint_path(str(run)), runs / "verify"
        verdict = verify_sequence(
            Wanted(model, sequence, box, frames, every, reprogram, convolution, seconds, config, out)
        )
    elif run.suffix == ".safetensors" or (str(run) in packaged() and not run.exists()):
        raise MonospikeError(f"{run}: a model is verified on a sequence; name its folder with --sequence")
    else:
        settings = load_config(run / CONFIG_FILE if run.is_dir() else run)
        progress = Progress()
        verdict = _deployment(settings, run if run.is_dir() else runs / settings.name, progress).verify_again()
        progress.say(in_words(verdict))
    if not verdict["identical"]:
        raise typer.Exit(1)


@app.command()
def bench(
    only: Annotated[str | None, typer.Option("--only", help="Letters of the measurements, as in a,c,f; all.")] = None,
    runs: Annotated[int, typer.Option("--runs", min=1, help="How often each pair is measured.")] = 9,
    out: Annotated[Path, typer.Option("--out", help="The file to write.")] = Path("runs/bench/bench.json"),
) -> None:
    """Measure the engine against PyTorch, Lava and itself; stock Lava (b, e) takes minutes.

    Entries of other letters in an existing file stay. Do nothing else on the machine meanwhile.
    """
    # Imported here because it loads torch, for which --help should not wait.
    from pipeline.bench.run import bench_to_file

    bench_to_file(only.split(",") if only else None, runs, out, Progress())


class SumsOption(str, Enum):
    """The exact types of sim.kernels, which loads torch and so is not imported for --help."""

    int8 = "int8"
    float32 = "float32"
    float64 = "float64"
    int64 = "int64"


@app.command()
def simulate(
    net: Annotated[
        Path, typer.Argument(metavar="NET", help="A .net or .nir file, a folder of them, or a packaged model.")
    ],
    source: Annotated[
        Path,
        typer.Option(
            "--input", help=".npy (frame, channel, height, width), or .npz with one such array for each input."
        ),
    ],
    steps: Annotated[
        int | None, typer.Option(min=1, help="Steps to run; a single frame is held for all of them.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Recording to write (.npz).")] = None,
    strict: Annotated[bool, typer.Option(help="Refuse what only a simulator would let pass.")] = False,
    reset: Annotated[int | None, typer.Option(min=1, help="Frames after which LIF neurons forget all.")] = None,
    layers: Annotated[int | None, typer.Option(min=1, help="Read only as many layers of a lava-dl file.")] = None,
    lava_order: Annotated[bool, typer.Option(help="The input is (column, row, channel, step), as Lava's are.")] = False,
    sums: Annotated[
        SumsOption | None, typer.Option(help="Compute all sums in this type; the fastest exact one otherwise.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda: the same bits.")] = "cpu",
) -> None:
    """Run a network on an input in the exact engine and print what each layer did.

    Interrupted, it still writes what it has finished, and ends with 1.
    """
    # Imported here because it loads torch, for which --help should not wait.
    from pipeline import simulate as command

    progress = Progress()
    network = command.read_network(net, layers, reset)
    how = command.How(strict, sums.value if sums else None, device)
    network, frames = command.programmed(network, command.read_input(source, network, steps, lava_order))
    for line in command.sums(network, how):
        progress.say(line)
    simulated = command.simulate(network, frames, how, progress)
    for line in command.summary(simulated):
        progress.say(line)
    if out is not None and simulated.recording is not None:
        simulated.recording.save(out)
        progress.say(f"{simulated.done} of {simulated.frames} frames are in {out}")
    if simulated.done < simulated.frames:
        raise typer.Exit(1)


@app.command()
def selfcheck(
    networks: Annotated[int, typer.Option(min=1, help="How many networks to draw.")] = 1000,
    first: Annotated[int, typer.Option("--first", min=0, help="Number of the first one.")] = 0,
    simulated: Annotated[
        int, typer.Option(min=0, help="How many of them also run in Lava's runtime, at 1 s each.")
    ] = 20,
    folder: Annotated[Path, typer.Option(help="Where the state and a counterexample are kept.")] = Path(
        "runs/selfcheck"
    ),
    files: Annotated[
        int, typer.Option(min=0, help="Read as many damaged and hostile .net and .nir files instead.")
    ] = 0,
) -> None:
    """Compare the engine with Lava's stock processes on drawn networks, in every variable at every step.

    Ten thousand take some minutes; stopped, the same command goes on. Ends with 1 at the first network that differs,
    which is left in the folder with its input. With --files it is the readers that are checked: each file has to be
    read or clearly refused within seconds and 1 GiB.
    """
    if files:
        _check_files(files, first, folder)
        return
    # Imported here because it loads torch, for which --help should not wait.
    from pipeline import selfcheck as command

    progress = Progress()
    result = command.selfcheck(networks, first, min(simulated, networks), folder, progress)
    if not isinstance(result, command.State):
        progress.say(f"{result}\nthe network and its input are in {folder / command.COUNTEREXAMPLE}")
        raise typer.Exit(1)
    refused = f"; {result.refused} more leave 32 bits and are refused" if result.refused else ""
    progress.say(f"{result.compared} networks agree in {result.values} values{refused}")


def _check_files(files: int, first: int, folder: Path) -> None:
    from pipeline import fuzz

    progress = Progress()
    result = fuzz.check(files, first, folder, progress)
    if isinstance(result, fuzz.Trouble):
        progress.say(f"{result}\nthe file is in {folder / fuzz.COUNTEREXAMPLE}")
        raise typer.Exit(1)
    progress.say(f"{result.done} files: {result.read} read, {result.refused} clearly refused")


def _deployment(config: RunConfig, folder: Path, progress: Progress, retrain: bool = False) -> Deployment:
    # Imported here because it loads torch and SLAYER, for which --help should not wait.
    from pipeline.deploy import Deployment

    return Deployment(config, folder, progress, retrain)


def _write_config(config: RunConfig, path: Path) -> None:
    with write_whole(path) as temporary:
        temporary.write_text(yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False), encoding="utf-8")


def main() -> None:
    """Entry point: what is the user's to mend ends in one message and exit code 2."""
    # Threads that wait for each other should sleep: spinning makes torch many times slower on a busy machine. OpenMP
    # reads this once, when torch is loaded, which is later.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    stderr = Console(stderr=True)
    try:
        app()
    except MonospikeError as error:
        stderr.print(f"monospike: {error}", highlight=False, markup=False, soft_wrap=True)
        sys.exit(2)
    except OSError as error:
        if error.filename is None:  # not a file the user could do anything about
            raise
        stderr.print(f"monospike: {error.filename}: {error.strerror}", highlight=False, markup=False, soft_wrap=True)
        sys.exit(2)
    except SystemExit as end:
        if end.code == 130:
            stderr.print("monospike: stopped; the same command goes on from here")
        raise
