"""The scores and boxes that ``monospike evaluate`` gives, by hand and as measured elsewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from PIL import Image

import pipeline.tasks.tracking.metrics
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


def test_pictures_without_leading_zeros_score_as_those_with_them(
    evaluate, tmp_path: Path, write_sequence: Callable[..., None]
) -> None:
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


def test_frames_that_change_their_size_are_followed_on_as_the_toolkit_does(
    evaluate, tmp_path: Path, write_sequence: Callable[..., None]
) -> None:
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


def test_got10ks_test_split_gives_boxes_without_scores(
    evaluate, tmp_path: Path, write_sequence: Callable[..., None]
) -> None:
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
