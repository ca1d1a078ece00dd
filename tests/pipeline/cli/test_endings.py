"""How a command ends that cannot go on: 1 is kept for what is not identical."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from netx.foreign import shown
from pipeline.cli import app as command_line


def _raises(error: BaseException) -> Callable[[], NoReturn]:
    def command() -> NoReturn:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ImportError("libtorch_cpu.so: failed to map segment from shared object"), "the memory does not suffice: lib"),
        (OSError("libtorch.so: cannot open shared object file: Cannot allocate memory"), "the memory does not suffice"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "the memory does not suffice"),
        (MemoryError(), "the memory does not suffice"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "the memory does not suffice"),
        (OSError(errno.ENOSPC, "No space left on device", "/runs/a.npz"), "/runs/a.npz: No space left on device"),
    ],
)
def test_what_the_machine_lacks_is_one_line_and_2(monkeypatch, capsys, error: Exception, said: str) -> None:
    monkeypatch.setattr(command_line, "app", _raises(error))
    with pytest.raises(SystemExit) as end:
        command_line.main()
    printed = capsys.readouterr().err
    assert (end.value.code, len(printed.splitlines())) == (2, 1)
    assert printed.startswith(f"monospike: {said}")


@pytest.mark.parametrize("error", [KeyError("seed"), RuntimeError("no"), ImportError("no name"), OSError("no file")])
def test_a_fault_of_the_program_is_not_taken_for_a_difference(monkeypatch, capsys, error: Exception) -> None:
    monkeypatch.setattr(command_line, "app", _raises(error))
    with pytest.raises(SystemExit) as end:
        command_line.main()
    assert end.value.code == 70
    assert "Traceback" in capsys.readouterr().err


def test_a_terminated_command_clears_up_says_so_and_ends_as_shells_expect(monkeypatch, capsys) -> None:
    cleared = []

    def command() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(10)
        except SystemExit:
            cleared.append(True)
            raise SystemExit(1) from None  # what Ray makes of it

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(command_line, "app", command)
    try:
        with pytest.raises(SystemExit) as end:
            command_line.main()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (end.value.code, cleared) == (143, [True])
    assert capsys.readouterr().err == "monospike: stopped\n"


def test_a_name_that_would_steer_the_terminal_is_shown(monospike, tmp_path: Path) -> None:
    name = "a\x1b[2J\x9b1mb.net"
    done = monospike("lint", name, cwd=tmp_path)
    assert done.returncode == 2
    assert shown(name) in done.stderr
    (tmp_path / name).write_bytes(b"no HDF5")
    done = monospike("lint", name, cwd=tmp_path)
    assert done.returncode == 1
    assert shown(name) in done.stdout
    assert all(sign.isprintable() or sign == "\n" for sign in done.stdout + done.stderr)


def test_every_line_for_the_terminal_goes_through_what_shows_foreign_text() -> None:
    folder = Path(command_line.__file__).parent
    raw = {
        file.name: line.strip()
        for file in folder.glob("*.py")
        for line in file.read_text(encoding="utf-8").splitlines()
        if "typer.echo(" in line or line.strip().startswith("print(")
    }
    assert raw == {"app.py": 'typer.echo(version("monospike"))'}
