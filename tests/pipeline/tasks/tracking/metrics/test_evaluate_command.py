"""``monospike evaluate`` as its user runs it."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import numpy as np
import psutil
import pytest
from PIL import Image

import pipeline.tasks.tracking.metrics.results
from pipeline.cli import app as cli
from pipeline.datasets.catalog import find_benchmark
from pipeline.tasks.tracking.config import TrackerConfig
from pipeline.tasks.tracking.metrics.evaluate import open_runs
from pipeline.tasks.tracking.metrics.page import render
from pipeline.tasks.tracking.trackers import open_tracker

SCHEMA = json.loads((Path(pipeline.tasks.tracking.metrics.__file__).parent / "schema.json").read_text())

README = {
    "dtb_Surfing06": (0.03, 0.62),
    "otb_Bird2": (0.11, 0.62),
    "otb_Bolt2": (0.14, 0.48),
    "otb_Car4": (0.46, 0.54),
    "otb_Crossing": (0.03, 0.78),
    "otb_DragonBaby": (0.25, 0.71),
    "otb_Jogging.1": (0.32, 0.71),
    "otb_Jogging.2": (0.52, 0.76),
    "vot_bag": (0.06, 0.77),
}
"""Mean IoU of a box that never moves and of NanoTrack v2, measured elsewhere: the table of the shared data's README."""


class Ended:
    def __init__(self, code: int, printed: str, error: str) -> None:
        self.code, self.printed, self.error = code, printed, error


@pytest.fixture
def evaluate(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def run(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["monospike", "evaluate", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        printed, error = capsys.readouterr()
        return Ended(end.value.code or 0, printed, error)

    return run


def write_sequence(folder: Path, boxes: list[list[float]]) -> None:
    """A square of another colour moves over a dark picture."""
    (folder / "img").mkdir(parents=True)
    for number, (x, y, width, height) in enumerate(boxes, start=1):
        picture = Image.new("RGB", (96, 72), (20, 40, 60))
        picture.paste((230, 120, 60), (round(x), round(y), round(x + width), round(y + height)))
        picture.save(folder / "img" / f"{number:04}.png")
    lines = [",".join(map(str, box)) for box in boxes]
    (folder / "groundtruth_rect.txt").write_text("\n".join(lines) + "\n")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two sequences; after the first frame the object has moved by half its width in one, and not in the other."""
    write_sequence(tmp_path / "data" / "Moved", [[20, 20, 24, 16], [32, 20, 24, 16], [32, 20, 24, 16]])
    write_sequence(tmp_path / "data" / "Still", [[30, 30, 24, 16]] * 4)
    return tmp_path / "data"


def test_the_scores_of_a_box_that_never_moves(evaluate, root: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores" / "fixed.json"
    ended = evaluate("folder", "--root", root, "--tracker", "fixed", "--out", out)
    assert ended.code == 0, ended.error
    scores = json.loads(out.read_text())
    jsonschema.validate(scores, SCHEMA)
    assert {key: scores[key] for key in ("benchmark", "tracker", "engine", "failed")} == {
        "benchmark": "folder",
        "tracker": "fixed",
        "engine": "float",
        "failed": {},
    }
    # Half of each box is shared: overlap 1/3, above 7 of the 21 thresholds, as the first frame's 1 is above 20.
    assert scores["sequences"]["Moved"]["mean_iou"] == pytest.approx(1 / 3)
    assert scores["sequences"]["Moved"]["success"] == pytest.approx((20 + 7 + 7) / 3 / 21)
    assert scores["mean_iou"] == pytest.approx((1 / 3 + 1) / 2)
    assert scores["precision"] == 1
    assert re.search(r"Moved .* 0\.333", ended.printed)
    page = out.with_suffix(".html").read_text()
    assert page.count("<svg") == 3
    assert "http" not in re.sub(r'xmlns\S*="[^"]*"', "", page), "the page loads nothing"


def test_scores_of_several_starts_are_means_over_the_runs(evaluate, root: Path, tmp_path: Path) -> None:
    out = tmp_path / "fixed.json"
    ended = evaluate("folder", "--root", root, "--tracker", "fixed", "--starts", 2, "--out", out)
    assert ended.code == 0, ended.error
    scores = json.loads(out.read_text())
    jsonschema.validate(scores, SCHEMA)
    assert scores["starts"] == 2
    # Forwards all following frames overlap the first box by 1/3; backwards the last box is the second's equal.
    assert {name: row["mean_iou"] for name, row in scores["sequences"].items()} == pytest.approx(
        {"Moved@0": 1 / 3, "Moved@2-backwards": (1 + 1 / 3) / 2, "Still@0": 1, "Still@3-backwards": 1}
    )
    assert scores["mean_iou"] == pytest.approx((1 / 3 + 2 / 3 + 1 + 1) / 4)
    assert "followed from 2 frames" in out.with_suffix(".html").read_text()


def iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Of boxes x, y, width, height, row by row."""
    low, high = (
        np.maximum(first[:, :2], second[:, :2]),
        np.minimum(first[:, :2] + first[:, 2:], second[:, :2] + second[:, 2:]),
    )
    shared = np.clip(high - low, 0, None).prod(axis=1)
    return shared / (first[:, 2:].prod(axis=1) + second[:, 2:].prod(axis=1) - shared)


def test_a_box_that_stays_where_it_is_told_to_search_scores_what_it_shares_with_the_true_one(
    evaluate, root: Path, tmp_path: Path
) -> None:
    out = tmp_path / "fixed.json"
    asked = ("--tracker", "fixed", "--starts", 2, "--single-frame", 4, "--out", out)
    ended = evaluate("folder", "--root", root, *asked)
    assert ended.code == 0, ended.error
    scores = json.loads(out.read_text())
    jsonschema.validate(scores, SCHEMA)
    assert (scores["starts"], scores["single_frame"]) == (2, 4)
    runs = {run.name: run.load() for run in open_runs(find_benchmark("folder"), root, starts=2, single_frame=4)}
    expected = {name: iou(run.near, run.boxes)[1:].mean() for name, run in runs.items()}
    assert {name: row["mean_iou"] for name, row in scores["sequences"].items()} == pytest.approx(expected, abs=1e-4)
    assert {row["frames"] for row in scores["sequences"].values()} == {5}
    assert "Single-frame evaluation: 4 frames from each of 2 starts" in out.with_suffix(".html").read_text()


def test_a_frame_is_searched_as_if_none_had_been_before(evaluate, root: Path, tmp_path: Path, checkpoint: Path) -> None:
    asked = ("--tracker", checkpoint, "--engine", "integer", "--single-frame", 3, "--out", tmp_path / "single.json")
    assert evaluate("folder", "--root", root, *asked).code == 0
    (file,) = tmp_path.glob("single-boxes/*/Moved.txt")
    written = np.loadtxt(file, delimiter=",")
    runs = open_runs(find_benchmark("folder"), root, single_frame=3)
    run = next(run for run in runs if run.name == "Moved")
    first, *_, last = run.frames()
    tracker = open_tracker(str(checkpoint), "integer", TrackerConfig())
    tracker.start(first, run.boxes[0])
    # Files count pixels from 1, as the ground truth does.
    np.testing.assert_allclose(tracker.search(last, run.near[-1]), written[-1] - [1, 1, 0, 0], atol=1e-4)
    np.testing.assert_allclose(run.boxes[0], written[0] - [1, 1, 0, 0], atol=1e-4)


def test_the_old_word_for_single_frames_works_and_says_the_new_one(evaluate, root: Path, tmp_path: Path) -> None:
    found = []
    for option in ("--looks", "--single-frame"):
        out = tmp_path / f"{option}.json"
        ended = evaluate("folder", "--root", root, "--tracker", "fixed", option, 3, "--out", out)
        assert ended.code == 0, ended.error
        assert ("--looks is called --single-frame now" in ended.error) == (option == "--looks")
        scores = json.loads(out.read_text())
        found.append([scores["single_frame"], scores["mean_iou"]])
    assert found[0] == found[1]
    assert found[0][0] == 3


def test_results_of_earlier_releases_can_still_be_read(evaluate, root: Path, tmp_path: Path) -> None:
    out = tmp_path / "fixed.json"
    evaluate("folder", "--root", root, "--tracker", "fixed", "--single-frame", 3, "--out", out)
    scores = json.loads(out.read_text())
    scores["looks"] = scores.pop("single_frame")
    jsonschema.validate(scores, SCHEMA)
    assert "Single-frame evaluation: 3 frames from each of 1 starts" in render(scores)


def test_boxes_lie_beside_the_result_in_otbs_text_format(evaluate, root: Path, tmp_path: Path) -> None:
    evaluate("folder", "--root", root, "--tracker", "fixed", "--out", tmp_path / "fixed.json")
    (file,) = tmp_path.glob("fixed-boxes/*/Moved.txt")
    np.testing.assert_allclose(np.loadtxt(file, delimiter=","), [[20, 20, 24, 16]] * 3)


def test_pictures_without_leading_zeros_score_as_those_with_them(evaluate, tmp_path: Path) -> None:
    boxes = [[10 + 3 * i, 20 + i, 24, 16] for i in range(14)]
    found = []
    for name, digits in (("padded", 4), ("plain", 1)):
        write_sequence(tmp_path / name / "Walk", boxes)
        for picture in sorted((tmp_path / name / "Walk" / "img").iterdir()):
            picture.rename(picture.with_name(f"{int(picture.stem):0{digits}}.png"))
        out = tmp_path / f"{name}.json"
        ended = evaluate("folder", "--root", tmp_path / name, "--tracker", "small-s4-kd", "--out", out)
        assert ended.code == 0, ended.error
        found.append(json.loads(out.read_text())["mean_iou"])
    assert found[0] == found[1] > 0.5


def test_frames_that_change_their_size_are_followed_on_as_the_toolkit_does(evaluate, tmp_path: Path) -> None:
    write_sequence(tmp_path / "data" / "Walk", [[20, 20, 24, 16]] * 3)
    second = tmp_path / "data" / "Walk" / "img" / "0002.png"
    with Image.open(second) as picture:
        picture.crop((0, 0, 80, 60)).save(second)
    out = tmp_path / "scores.json"
    ended = evaluate("folder", "--root", tmp_path / "data", "--tracker", "small-s4-kd", "--out", out)
    assert ended.code == 0, ended.error
    assert json.loads(out.read_text())["mean_iou"] > 0.5


@pytest.mark.parametrize("engine", ["float", "integer"])
def test_a_checkpoint_runs_in_both_forms(evaluate, root: Path, tmp_path: Path, checkpoint: Path, engine: str) -> None:
    out = tmp_path / f"{engine}.json"
    ended = evaluate("folder", "--root", root, "--tracker", checkpoint, "--engine", engine, "--out", out)
    assert ended.code == 0, ended.error
    scores = json.loads(out.read_text())
    assert (scores["engine"], scores["tracker"]) == (engine, str(checkpoint))
    assert scores["fps"] > 0
    (file,) = tmp_path.glob(f"{engine}-boxes/tiny-*/Still.txt")
    boxes = np.loadtxt(file, delimiter=",")
    assert boxes.shape == (4, 4)
    assert np.isfinite(boxes).all()


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


def test_names_of_sequences_are_shown_as_they_are(evaluate, tmp_path):
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
    ("first", "message"),
    [
        ("nan,nan,nan,nan", r"sequence 'Moved', frame 0: has no box to start from"),
        ("20,20,0,16", r"sequence 'Moved', frame 0: the box 20,20,0,16 has no area"),
        ("120,20,24,16", r"sequence 'Moved', frame 0: the box 120,20,24,16 lies outside the frame of 96x72"),
        ("twenty", r"line 1: expected 4 numbers"),
    ],
)
def test_a_sequence_that_fails_does_not_lose_the_others(
    evaluate, root: Path, tmp_path: Path, first: str, message: str
) -> None:
    (root / "Moved" / "groundtruth_rect.txt").write_text(first + "\n32,20,24,16\n32,20,24,16\n")
    ended = evaluate("folder", "--root", root, "--tracker", "fixed", "--out", tmp_path / "fixed.json")
    assert ended.code == 1
    scores = json.loads((tmp_path / "fixed.json").read_text())
    jsonschema.validate(scores, SCHEMA)
    assert list(scores["sequences"]) == ["Still"]
    assert scores["mean_iou"] == 1
    assert re.search(message, scores["failed"]["Moved"])
    assert "1 of 2 sequences could not be evaluated" in ended.printed


def test_a_truncated_picture_fails_its_sequence_by_name(evaluate, root: Path, tmp_path: Path) -> None:
    picture = root / "Moved" / "img" / "0002.png"
    picture.write_bytes(picture.read_bytes()[:60])
    evaluate("folder", "--root", root, "--tracker", "fixed", "--out", tmp_path / "fixed.json")
    scores = json.loads((tmp_path / "fixed.json").read_text())
    assert "0002.png" in scores["failed"]["Moved"]
    assert list(scores["sequences"]) == ["Still"]


def test_frames_without_the_object_count_as_asked(evaluate, root: Path, tmp_path: Path) -> None:
    (root / "Moved" / "groundtruth_rect.txt").write_text("20,20,24,16\nNaN,NaN,NaN,NaN\n20,20,24,16\n")
    found = {}
    for convention in ("drop", "failure"):
        out = tmp_path / f"{convention}.json"
        evaluate("folder", "--root", root, "--tracker", "fixed", "--absent", convention, "--out", out)
        found[convention] = json.loads(out.read_text())["sequences"]["Moved"]["success"]
    assert found == {"drop": pytest.approx(20 / 21), "failure": pytest.approx(2 / 3 * 20 / 21)}


def test_got10ks_test_split_gives_boxes_without_scores(evaluate, tmp_path: Path) -> None:
    folder = tmp_path / "got" / "test" / "GOT-10k_Test_000001"
    write_sequence(folder, [[20, 20, 24, 16]] * 3)
    for number in (1, 2, 3):
        (folder / "img" / f"{number:04}.png").rename(folder / f"{number:08}.png")
    (folder / "groundtruth.txt").write_text("20,20,24,16\n")
    (tmp_path / "got" / "test" / "list.txt").write_text(folder.name + "\n")
    out = tmp_path / "got.json"
    assert evaluate("got10k-test", "--root", tmp_path / "got", "--tracker", "fixed", "--out", out).code == 0
    scores = json.loads(out.read_text())
    jsonschema.validate(scores, SCHEMA)
    assert scores["mean_iou"] is scores["success"] is scores["curves"] is None
    (file,) = tmp_path.glob("got-boxes/*/GOT-10k_Test_000001.txt")
    assert len(file.read_text().splitlines()) == 3


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


def test_a_box_that_never_moves_scores_on_the_shared_sequences_as_measured_elsewhere(
    evaluate, shared_data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "scores.json"
    root = shared_data / "tracking" / "test"
    assert evaluate("shared-test", "--root", root, "--tracker", "fixed", "--out", out).code == 0
    scores = json.loads(out.read_text())
    found = {name: row["mean_iou"] for name, row in scores["sequences"].items()}
    # Two digits were written down, of boxes in whole pixels.
    assert found == {name: pytest.approx(fixed, abs=0.006) for name, (fixed, _) in README.items()}
    assert scores["mean_iou"] == pytest.approx(0.21, abs=0.006)


def test_nanotrack_scores_on_a_shared_sequence_as_measured_elsewhere(
    evaluate, shared_data: Path, tmp_path: Path
) -> None:
    weights, root, out = shared_data / "weights" / "nanotrack", tmp_path / "otb_Crossing", tmp_path / "scores.json"
    real = shared_data / "tracking" / "test" / "otb_Crossing"
    root.mkdir()
    (root / "img").symlink_to(real / "img")
    # There the tracker was started on the file's numbers as if they counted from 0.
    rows = [line.replace(",", " ").split() for line in (real / "groundtruth_rect.txt").read_text().splitlines()]
    lines = [f"{float(x) + 1},{float(y) + 1},{width},{height}" for x, y, width, height in rows]
    (root / "groundtruth_rect.txt").write_text("\n".join(lines) + "\n")
    asked = ("folder", "--root", root, "--tracker", "nanotrack", "--weights", weights, "--out", out)
    assert evaluate(*asked).code == 0
    assert json.loads(out.read_text())["mean_iou"] == pytest.approx(README["otb_Crossing"][1], abs=0.006)
    ended = evaluate(*asked, "--single-frame", 2)
    assert ended.code == 2
    assert "cannot be told where to search" in ended.error


def test_two_jobs_find_the_same_as_none_also_when_they_were_stopped(evaluate, root, tmp_path, checkpoint) -> None:
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
