"""The command line."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
import traceback
from functools import partial
from importlib.metadata import version
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from netx.errors import MonospikeError
from netx.foreign import shown
from pipeline.cli.backbone import backbone
from pipeline.cli.bench import bench
from pipeline.cli.configs import configs
from pipeline.cli.convert import convert
from pipeline.cli.deploy import deploy, verify
from pipeline.cli.detect import detect
from pipeline.cli.diff import diff_command
from pipeline.cli.doctor import doctor
from pipeline.cli.evaluate import evaluate
from pipeline.cli.export import export_command
from pipeline.cli.graph import graph
from pipeline.cli.import_nir import import_nir
from pipeline.cli.lint import lint_command
from pipeline.cli.map import map_network
from pipeline.cli.open import open_command
from pipeline.cli.options import with_options
from pipeline.cli.package import models, package
from pipeline.cli.profile import profile
from pipeline.cli.report import report_command
from pipeline.cli.runs import runs_command
from pipeline.cli.search import search
from pipeline.cli.segment import segment
from pipeline.cli.selfcheck import selfcheck
from pipeline.cli.simulate import simulate
from pipeline.cli.study import study
from pipeline.cli.track import track
from pipeline.cli.train import train

app = typer.Typer(
    help="Train a single-step spiking tracker or detector, turn it into Loihi integers, prove it in Lava, price it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


_GO_ON = {"deploy", "evaluate", "search", "selfcheck", "study", "train"}
"""Commands that, stopped, keep what they have finished; so does verify with --sequence. The others begin anew."""

_FULL = (errno.ENOSPC, errno.EDQUOT)
"""What a disk without room raises, without the name of a file."""

_WITHOUT_MEMORY = ("can't allocate memory", "out of memory", "Cannot allocate memory", "failed to map segment")
"""What torch says where numpy raises MemoryError: on the CPU (c10/core/impl/alloc_cpu.cpp), and on a GPU; and the
loader of libraries (glibc, ``elf/dl-map-segments.h``), as an ImportError or OSError."""

_TERMINATED = 128 + signal.SIGTERM
"""Exit code that shells show for a command that SIGTERM has ended."""

_FAULT = 70
"""Exit code of a fault of the program: EX_SOFTWARE of sysexits.h."""


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


# As --help lists them.
app.command("deploy")(with_options(deploy))
app.command("verify")(with_options(verify))
app.command("runs")(with_options(runs_command))
app.command("open")(with_options(open_command))
app.command("report")(with_options(report_command))
app.command("simulate")(with_options(simulate))
app.command("map")(with_options(map_network))
app.command("profile")(with_options(profile))
app.command("search")(with_options(search))
app.command("lint")(with_options(lint_command))
app.command("import")(with_options(import_nir))
app.command("export")(with_options(export_command))
app.command("graph")(with_options(graph))
app.command("diff")(with_options(diff_command))
app.command("track")(with_options(track))
app.command("detect")(with_options(detect))
app.command("segment")(with_options(segment))
app.command("evaluate")(with_options(evaluate))
app.command("train")(with_options(train))
app.command("study")(with_options(study))
app.command("configs")(with_options(configs))
app.command()(models)
app.command("convert")(with_options(convert))
app.command("backbone")(with_options(backbone))
app.command("package")(with_options(package))
app.command("selfcheck")(with_options(selfcheck))
app.command("bench")(with_options(bench))
app.command("doctor")(with_options(doctor))


def main() -> None:
    """Entry point: what is the user's to mend ends in one message and exit code 2."""
    # Threads that wait for each other should sleep: spinning makes torch many times slower on a busy machine. OpenMP
    # reads this once, when torch is loaded, which is later.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # A file's name need not be text, nor a terminal know every sign: such a character is shown by its number.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    ended: list[int] = []
    before = signal.signal(signal.SIGTERM, partial(_stopped, ended))
    try:
        app()
    except MonospikeError as error:
        _refuse(str(error))
    except OSError as error:
        # Of two names the second is the one that a finished file was to get.
        name = error.filename if error.filename2 is None else error.filename2
        if error.errno == errno.ENOMEM or any(words in str(error) for words in _WITHOUT_MEMORY):
            _refuse(f"the memory does not suffice: {error}")
        if name is None and error.errno not in _FULL:  # not a file the user could do anything about
            _fail()
        _refuse(f"{error.strerror}" if name is None else f"{os.fsdecode(name)}: {error.strerror}")
    except (MemoryError, RuntimeError, ImportError) as error:  # such as over a file that asks for too many neurons
        if not isinstance(error, MemoryError) and not any(words in str(error) for words in _WITHOUT_MEMORY):
            _fail()
        _refuse(f"the memory does not suffice{f': {error}' if str(error) else ''}")
    except SystemExit as end:
        if ended or end.code in (130, _TERMINATED):
            _say("stopped; the same command goes on from here" if _goes_on(sys.argv[1:]) else "stopped")
        if ended:  # Ray makes another exception of it (ray 2.60 ``_raylet.pyx``, ``check_status``)
            raise SystemExit(_TERMINATED) from None
        raise
    except Exception:
        _fail()
    finally:
        if not ended:
            signal.signal(signal.SIGTERM, before)


def _stopped(ended: list[int], number: int, _: object) -> NoReturn:
    """A signal ends the command as Ctrl-C does: what it holds is let go, what it has started ends, nothing is left."""
    signal.signal(number, signal.SIG_IGN)  # another one would stop the clearing up
    ended.append(number)
    raise SystemExit(_TERMINATED)


def _fail() -> NoReturn:
    """End with what went wrong in this program itself. Not with 1, which says of two things that they are not equal."""
    traceback.print_exc()
    _say("this is a fault of monospike; please report it with the lines above")
    sys.exit(_FAULT)


def _refuse(why: str) -> NoReturn:
    _say(why)
    sys.exit(2)


def _say(what: str) -> None:
    Console(stderr=True).print(shown(f"monospike: {what}", lines=True), highlight=False, markup=False, soft_wrap=True)


def _goes_on(arguments: list[str]) -> bool:
    command = arguments[0] if arguments else ""
    on_a_sequence = any(word.partition("=")[0] == "--sequence" for word in arguments)
    return command in _GO_ON or (command == "verify" and on_a_sequence)
