"""How every command ends when the place it writes to is full, is a folder, or cannot show a name; and when stopped."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from rich.console import Console

from netx import LIF, Conv2d, Dense, Input, Layer, Network
from netx.bundle import save
from pipeline.cli import app as cli
from pipeline.core.progress import Progress
from pipeline.datasets.clip import Clip
from pipeline.tasks.tracking import track_video


def monospike(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipeline", *map(os.fspath, arguments)]
    return subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=120, **options)  # type: ignore[call-overload]


def test_a_full_disk_is_said_in_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        result = monospike("lint", "--rules", stdout=full)
    assert result.returncode == 2
    assert result.stderr.splitlines()[0] == "monospike: No space left on device"
    assert "Traceback" not in result.stderr


def test_more_neurons_than_any_memory_holds_are_said_in_one_line(tmp_path: Path) -> None:
    """A million zeros around one pixel are four million million neurons, in a file of a few kilobytes."""
    layer = Layer("a", ("x",), Conv2d([[[[2]]]]), LIF(1))
    save(Network((Input("x", (1, 1, 1)),), (layer,), ("a",)), tmp_path / "n.net")
    with h5py.File(tmp_path / "n.net", "a") as file:
        del file["monospike"]
        file["layer/1/padding"][:] = 10**6
        file["layer/1/shape"][:] = [1, 2 * 10**6 + 1, 2 * 10**6 + 1]
    np.save(tmp_path / "frames.npy", np.ones((1, 1, 1, 1), np.uint8))
    result = monospike("simulate", tmp_path / "n.net", "--input", tmp_path / "frames.npy", stdout=subprocess.PIPE)
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith("monospike: the memory does not suffice: Unable to allocate")
    assert "Traceback" not in result.stderr


def test_a_folder_where_a_file_is_to_be_written_is_named_and_stays(tmp_path: Path) -> None:
    layer = Layer("a", ("x",), Dense(np.full((2, 3), 4)), LIF(5))
    save(Network((Input("x", (3, 1, 1)),), (layer,), ("a",)), tmp_path / "n.net")
    (tmp_path / "folder").mkdir()
    result = monospike("lint", tmp_path / "n.net", "--out", tmp_path / "folder", stdout=subprocess.PIPE)
    assert result.returncode == 2
    assert result.stderr == f"monospike: {tmp_path / 'folder'}: Is a directory\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "n.net"]


def test_a_name_that_is_no_text_is_shown_by_its_bytes(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff.npz")
    frames = np.zeros((2, 24, 32, 3), np.uint8)
    Clip("square", frames, np.full((2, 4), 8.0)).save(tmp_path / name)
    place = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
    result = monospike(
        *("track", tmp_path / name, "--tracker", "fixed", "--out", tmp_path / os.fsdecode(b"out\xff")),
        stdout=subprocess.PIPE,
        env=place,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.endswith(f"are in {tmp_path}/out\\udcff\n")


def test_a_bar_shows_a_name_with_brackets_as_it_is() -> None:
    screen = io.StringIO()
    with Progress(Console(file=screen, force_terminal=True, width=100)).task("walk[/b] [red]one", 2) as task:
        task.advance()
    assert "walk[/b] [red]one" in screen.getvalue()


def test_torch_without_memory_says_so_in_one_line_as_well(monkeypatch, capsys) -> None:
    monkeypatch.setattr(cli, "app", lambda: torch.empty(1 << 50, dtype=torch.uint8))
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 2
    assert "the memory does not suffice: " in capsys.readouterr().err


def test_any_other_error_of_torch_keeps_its_traceback_and_is_no_verdict(monkeypatch, capsys) -> None:
    monkeypatch.setattr(cli, "app", lambda: torch.ones(2) @ torch.ones(3))
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 70, "1 would say that something is not identical"
    said = capsys.readouterr().err
    assert "RuntimeError: inconsistent tensor size" in said
    assert "this is a fault of monospike; please report it" in said


@pytest.mark.parametrize(
    ("arguments", "goes_on"),
    [
        (("track", "a.npz"), False),
        (("verify", "runs/demo"), False),
        (("verify", "a.safetensors", "--sequence=walk"), True),
        (("verify", "a.safetensors", "--sequence", "walk"), True),
        (("train", "a.yaml"), True),
    ],
)
def test_only_a_command_that_keeps_what_it_has_done_says_that_it_goes_on(arguments, goes_on, monkeypatch, capsys):
    def stopped() -> None:
        raise SystemExit(130)

    monkeypatch.setattr(cli, "app", stopped)
    monkeypatch.setattr(sys, "argv", ["monospike", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 130
    assert capsys.readouterr().err.strip() == f"monospike: stopped{'; the same command goes on from here' * goes_on}"


def test_a_stopped_command_ends_with_130_and_leaves_nothing(tmp_path, monkeypatch, capsys):
    Clip("square", np.zeros((2, 24, 32, 3), np.uint8), np.full((2, 4), 8.0)).save(tmp_path / "square.npz")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(track_video, "track_video", interrupted)
    out = tmp_path / "out"
    monkeypatch.setattr(
        sys, "argv", ["monospike", "track", str(tmp_path / "square.npz"), "--tracker", "fixed", "--out", str(out)]
    )
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 130
    assert capsys.readouterr().err.strip() == "monospike: stopped"
    assert not out.exists()
