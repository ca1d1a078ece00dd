"""What is written whole, however the writing ends."""

import fcntl
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from no_room import no_room

from netx import LIF, Dense, FormatError, Input, Layer, Network, Shape
from netx import files as files_module
from netx.bundle import load, save
from netx.files import UNFINISHED, append_line, check_places, remove_unfinished, write_whole
from netx.nir_file import write_nir_integers
from netx.npz import npz_bytes, read_npz


def _network(threshold: int) -> Network:
    weight = np.random.default_rng(0).integers(-127, 128, (24, 24)).astype(np.int32)
    return Network((Input("x", Shape(24, 1, 1)),), (Layer("a", ("x",), Dense(weight), LIF(threshold)),), ("a",))


def test_a_folder_that_is_being_replaced_when_the_user_interrupts_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, move = tmp_path / "network", Path.replace
    path.mkdir()
    (path / "old").touch()

    def interrupted(self: Path, target: Any) -> Path:
        if self.parent.name == "new" and target == path:
            raise KeyboardInterrupt
        return move(self, target)

    monkeypatch.setattr(files_module, "_exchanged", lambda *_: False)  # as file systems do that cannot
    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt), write_whole(path) as temporary:
        temporary.mkdir()
    assert [one.name for one in tmp_path.iterdir()] == ["network"]
    assert [one.name for one in path.iterdir()] == ["old"]


@pytest.mark.parametrize("can_exchange", [True, False])
def test_a_folder_is_replaced_by_the_new_one_and_nothing_else_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, can_exchange: bool
) -> None:
    if not can_exchange:
        monkeypatch.setattr(files_module, "_exchanged", lambda *_: False)
    for name in ("first", "second"):
        with write_whole(tmp_path / "new") as temporary:  # also where it is called as a part of the workplace
            temporary.mkdir()
            (temporary / name).touch()
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "new", tmp_path / "new" / "second"]


def _killed_in(path: Path, before_the_second_move: bool) -> None:
    """A process of its own writes to ``path`` and is killed while it does."""
    if not (child := os.fork()):
        try:
            if before_the_second_move:
                files_module._exchanged = lambda *_: False
                move = Path.replace
                Path.replace = lambda self, to: (
                    os.kill(os.getpid(), signal.SIGKILL) if self.parent.name == "new" else move(self, to)
                )
            with write_whole(path) as temporary:
                temporary.mkdir()
                (temporary / "half").touch()
                if not before_the_second_move:
                    os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL


@pytest.mark.parametrize("between_two_moves", [False, True])
def test_what_a_killed_write_has_left_is_removed_by_the_next_and_the_old_folder_is_there(
    tmp_path: Path, between_two_moves: bool
) -> None:
    path = tmp_path / "network"
    path.mkdir()
    (path / "old").touch()
    _killed_in(path, between_two_moves)
    assert len(list(tmp_path.glob(f".*{UNFINISHED}"))) == 1
    with write_whole(tmp_path / "other") as temporary:
        temporary.touch()
    assert sorted(tmp_path.rglob("*")) == [path, path / "old", tmp_path / "other"]


def test_what_others_are_writing_is_not_cleared_away(tmp_path: Path) -> None:
    with write_whole(tmp_path / "file") as temporary:
        temporary.write_text("mine")
        remove_unfinished(tmp_path, below=True)
        with write_whole(tmp_path / "file") as other:
            other.write_text("theirs")
    assert (tmp_path / "file").read_text() == "mine"
    left = tmp_path / f".user{UNFINISHED}"
    left.mkdir()
    lock = os.open(left, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    remove_unfinished(tmp_path)
    assert left.is_dir()
    os.close(lock)
    remove_unfinished(tmp_path)
    assert not left.exists()


def test_a_name_as_long_as_names_may_be_can_be_written(tmp_path: Path) -> None:
    with write_whole(tmp_path / ("n" * 255)) as temporary:
        temporary.write_text("content")
    assert (tmp_path / ("n" * 255)).read_text() == "content"


@pytest.mark.parametrize("name", ["network.net", "network.nir", "folder"])
def test_a_network_for_which_the_disk_has_no_room_leaves_the_file_as_it_was(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    save(_network(1), path)
    with no_room(), pytest.raises(FormatError, match=f"^{path}[^:]*: cannot be written .File too large"):
        save(_network(2), path)
    assert [one.name for one in tmp_path.iterdir()] == [name]
    assert load(path) == _network(1)


def test_integers_with_memory_for_which_the_disk_has_no_room_are_no_file(tmp_path: Path) -> None:
    with no_room(), pytest.raises(FormatError, match=r"network\.nir: cannot be written .File too large"):
        write_nir_integers(_network(1), tmp_path / "network.nir")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_room_is_said_with_the_files_name(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "arrays.npz"
    values = {"values": np.random.default_rng(0).random(1000)}
    for compressed in (False, True):
        with no_room(), pytest.raises(OSError, match=str(path)), write_whole(path) as temporary:
            temporary.write_bytes(npz_bytes(values, compressed))
        assert list(tmp_path.iterdir()) == []
    with no_room(), pytest.raises(OSError, match=r"lines\.txt"):
        append_line(tmp_path / "lines.txt", "x" * 1000)
    assert capfd.readouterr() == ("", "")


def test_arrays_are_read_as_they_were_written(tmp_path: Path) -> None:
    values = {"layer/count": np.arange(6).reshape(2, 3), "name": np.array("é")}
    for compressed in (False, True):
        (tmp_path / "a.npz").write_bytes(npz_bytes(values, compressed))
        found = read_npz(tmp_path / "a.npz")
        assert {name: array.tolist() for name, array in found.items()} == {
            "layer/count": [[0, 1, 2], [3, 4, 5]],
            "name": "é",
        }


def test_a_place_where_nothing_can_be_written_is_told_before_anything_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    check_places(None, tmp_path / "file", tmp_path / "not" / "there" / "yet")
    with pytest.raises(IsADirectoryError, match=tmp_path.name):
        check_places(tmp_path)
    with pytest.raises(NotADirectoryError, match="file"):
        check_places(tmp_path / "file" / "deeper" / "out")
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write everywhere
    with pytest.raises(PermissionError, match=tmp_path.name):
        check_places(tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
