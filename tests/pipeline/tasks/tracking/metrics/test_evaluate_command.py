"""``monospike evaluate`` as a command: stopped and taken up again, and what it says where something is wrong."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

import pipeline.tasks.tracking.metrics.results
import pipeline.tasks.tracking.trackers


def test_a_stopped_evaluation_goes_on_and_ends_with_the_same_scores(
    evaluate, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, broken = tmp_path / "whole.json", tmp_path / "broken.json"
    arguments = ("folder", "--root", root, "--tracker", "fixed", "--out")
    evaluate(*arguments, whole)

    class Stops(pipeline.tasks.tracking.trackers.FixedBox):
        def start(self, frame, box) -> None:
            if box[0] == 29:  # 30 in the file, which counts from 1
                raise KeyboardInterrupt
            super().start(frame, box)

    with monkeypatch.context() as patched:
        patched.setattr(pipeline.tasks.tracking.trackers, "FixedBox", Stops)
        stopped = evaluate(*arguments, broken)
    assert stopped.code == 130
    assert not broken.exists()
    assert [file.name for file in tmp_path.glob("broken-boxes/*/*.txt")] == ["Moved.txt"]
    ended = evaluate(*arguments, broken)
    assert "Moved: read back" in ended.printed
    assert "Still: done" in ended.printed
    first, second = (json.loads(path.read_text()) for path in (whole, broken))
    for scores in (first, second):
        scores.pop("fps")
        for row in scores["sequences"].values():
            row.pop("fps")
    assert first == second


def test_boxes_that_cannot_be_written_end_it_at_once(evaluate, root, tmp_path, monkeypatch):
    folder = tmp_path / "scores"
    folder.mkdir()
    for out in (folder, "."):
        ended = evaluate("folder", "--root", root, "--tracker", "fixed", "--out", out)
        assert f"--out {out}: is a folder" in ended.error
    blocked = tmp_path / "file"
    blocked.touch()
    monkeypatch.setattr(
        pipeline.tasks.tracking.trackers.FixedBox, "start", lambda *_: pytest.fail("no sequence is run for nothing")
    )
    ended = evaluate("folder", "--root", root, "--tracker", "fixed", "--out", blocked / "fixed.json")
    assert (ended.code, ended.printed) == (2, "")
    assert "Not a directory" in ended.error


def test_a_disk_that_fills_up_is_not_taken_for_a_bad_sequence(evaluate, root, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pipeline.tasks.tracking.metrics.results.ResultFolder, "write", full)
    ended = evaluate("folder", "--root", root, "--tracker", "fixed", "--out", tmp_path / "fixed.json")
    assert (ended.code, ended.printed) == (2, "")
    assert ended.error == "monospike: No space left on device\n"


def test_names_of_sequences_are_shown_as_they_are(evaluate, tmp_path, write_sequence):
    write_sequence(tmp_path / "data" / "[red]Bird", [[30, 30, 24, 16]] * 2)
    arguments = ("folder", "--root", tmp_path / "data", "--tracker", "fixed", "--out", tmp_path / "fixed.json")
    assert "\u2502 [red]Bird " in evaluate(*arguments).printed


def test_boxes_of_another_form_are_not_read_back(evaluate, root: Path, tmp_path: Path, checkpoint: Path) -> None:
    arguments = ("folder", "--root", root, "--tracker", checkpoint, "--out", tmp_path / "both.json", "--engine")
    evaluate(*arguments, "float")
    assert "read back" not in evaluate(*arguments, "integer").printed
    assert "read back" in evaluate(*arguments, "float").printed


def test_a_sequence_whose_pictures_or_first_box_have_changed_is_run_anew(evaluate, root: Path, tmp_path: Path) -> None:
    arguments = ("folder", "--root", root, "--tracker", "fixed", "--out", tmp_path / "fixed.json")
    evaluate(*arguments)
    truth = root / "Still" / "groundtruth_rect.txt"
    truth.write_text("31,30,24,16\n" + "30,30,24,16\n" * 3)
    printed = evaluate(*arguments).printed
    assert ("Moved: read back" in printed, "Still: done" in printed) == (True, True)
    Image.new("RGB", (96, 72), (90, 40, 60)).save(root / "Moved" / "img" / "0002.png")
    printed = evaluate(*arguments).printed
    assert ("Moved: done" in printed, "Still: read back" in printed) == (True, True)
    truth.write_text("31,30,24,16\n" + "29,30,24,16\n" * 3)
    assert "Still: read back" in evaluate(*arguments).printed, "the tracker has seen none of these boxes"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("otb",), "there is no benchmark 'otb'; the benchmarks are otb100,"),
        (("folder",), "folder needs --root DIR"),
        (("folder", "--root", "nowhere"), "nowhere: there is no such folder"),
        (("folder", "--engine", "fixed-point"), "there is no engine 'fixed-point'; the engines are float, integer"),
        (("folder", "--absent", "ignore"), "--absent 'ignore': expected drop or failure"),
        (("folder", "--root", "data", "--tracker", "siamese"), "no packaged model is called 'siamese'"),
        (("folder", "--root", "data", "--tracker", "a.safetensors"), "a.safetensors: there is no such checkpoint"),
        (("folder", "--root", "data", "--tracker", "nanotrack", "--engine", "integer"), "nanotrack is no spiking"),
        (("folder", "--root", "data", "--tracker", "nanotrack", "--weights", "data"), "SiamTrackers"),
        (("folder", "--root", "data", "--tracker", "fixed", "--config", "no.yaml"), "no.yaml: cannot be read"),
    ],
)
def test_what_is_wrong_is_one_message(
    evaluate, root: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(root.parent)
    ended = evaluate(*arguments, "--out", "out.json")
    assert ended.code == 2
    assert message in ended.error
    assert "Traceback" not in ended.error
    assert not Path("out.json").exists()


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (None, "does not say which model"),
        ({"student": "{}"}, "a student of an older release, which has to be trained again"),
        ({"model": "{}"}, "'monospike convert"),
        ({"model": "{}", "task": "tracking", "processing": "{}"}, "architecture is not"),
        ({"model": "{", "task": "tracking", "processing": "{}"}, "architecture is not"),
    ],
)
def test_a_file_that_is_no_models_checkpoint(
    evaluate, root: Path, tmp_path: Path, metadata: dict[str, str] | None, message: str
) -> None:
    from safetensors.numpy import save_file

    save_file({"weight": np.zeros(3, np.float32)}, tmp_path / "other.safetensors", metadata)
    out = tmp_path / "other.json"
    ended = evaluate("folder", "--root", root, "--tracker", tmp_path / "other.safetensors", "--out", out)
    assert ended.code == 2
    assert "other.safetensors: " in ended.error
    assert message in ended.error


def test_two_jobs_find_the_same_as_none_also_when_they_were_stopped(
    evaluate, root, write_sequence, tmp_path, checkpoint
) -> None:
    """Stopped as from a keyboard, with the whole group of processes, once the first sequence has ended."""
    write_sequence(root / "Bad", [[20, 20, 0, 16]] * 2)
    write_sequence(root / "Walk", [[10 + i / 8, 20, 24, 16] for i in range(120)])
    asked = ["evaluate", "folder", "--root", "data", "--tracker", str(checkpoint), "--jobs", "2", "--out", "two.json"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[5]), "OMP_NUM_THREADS": "1"}
    pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "start_new_session": True}
    command = [sys.executable, "-m", "pipeline", *asked]

    stopped = subprocess.Popen(command, cwd=tmp_path, env=environment, **pipe)
    while not list(tmp_path.glob("two-boxes/*/*.txt")):
        assert stopped.poll() is None, stopped.communicate()[0]
        time.sleep(0.02)
    children = psutil.Process(stopped.pid).children(recursive=True)
    os.killpg(stopped.pid, signal.SIGINT)
    printed, _ = stopped.communicate(timeout=120)
    assert (stopped.returncode, "the same command goes on from here" in printed) == (130, True), printed
    assert psutil.wait_procs(children, timeout=60)[1] == []

    went_on = subprocess.Popen(command, cwd=tmp_path, env=environment, **pipe)
    printed, _ = went_on.communicate(timeout=250)
    assert went_on.returncode == 1, printed
    assert "read back" in printed
    ended = evaluate("folder", "--root", root, "--tracker", checkpoint, "--jobs", 0, "--out", tmp_path / "none.json")
    assert ended.code == 1, ended.error
    two, none = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("two", "none"))
    assert list(two["failed"]) == ["Bad"]
    assert list(two["sequences"]) == ["Moved", "Still", "Walk"]
    for scores in (two, none):
        for row in (scores, *scores["sequences"].values()):
            row.pop("fps")
    assert two == none
    boxes = ({p.name: p.read_bytes() for p in tmp_path.glob(f"{name}-boxes/*/*.txt")} for name in ("two", "none"))
    assert next(boxes) == next(boxes)
