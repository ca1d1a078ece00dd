"""One-pass and GOT-10k scores: equal to the got10k toolkit's on the same boxes, or worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from got10k.datasets import OTB
from got10k.experiments import ExperimentGOT10k, ExperimentOTB, ExperimentUAV123
from got10k.utils import metrics
from PIL import Image

from pipeline.core.boxes import centre_error, iou, normalised_centre_error
from pipeline.datasets.catalog import find_benchmark, open_benchmark
from pipeline.tasks.tracking.metrics.one_pass import curves, mean_overlap
from pipeline.tasks.tracking.metrics.results import ResultFolder
from pipeline.tasks.tracking.metrics.summary import Finished, summarise
from pipeline.tasks.tracking.predictions import Predictions, State

RANDOM = np.random.default_rng(7)


def some_truth(frames: int) -> np.ndarray:
    corner = 10 + RANDOM.normal(0, 2, (frames, 2)).cumsum(axis=0)
    return np.concatenate([corner, RANDOM.uniform(8, 30, (frames, 2))], axis=1).round(2)


def some_boxes(truth: np.ndarray) -> np.ndarray:
    """Boxes near the true ones, some far off, as written to a file."""
    away = RANDOM.normal(0, 1, truth.shape) * RANDOM.choice([1, 6, 40], (len(truth), 1))
    boxes = np.nan_to_num(truth, nan=20.0) + away
    boxes[:, 2:] = np.maximum(boxes[:, 2:], 1)
    return boxes.round(4)


def run_of(boxes: np.ndarray) -> Predictions:
    return Predictions(boxes, np.full(len(boxes), State.TRACKED), np.full(len(boxes), 0.01))


def write_sequence(pictures: list[Path], ground_truth: Path, truth: np.ndarray) -> None:
    for path in [*pictures, ground_truth]:
        path.parent.mkdir(parents=True, exist_ok=True)
    for picture in pictures:
        Image.new("RGB", (60, 50)).save(picture)
    np.savetxt(ground_truth, truth, delimiter=",", fmt="%.2f")


def finished(benchmark: str, root: Path, results: ResultFolder) -> list[Finished]:
    """Of every sequence that has pictures, its boxes read back from the result files."""
    done = []
    for entry in open_benchmark(find_benchmark(benchmark), root):
        if (results.folder / f"{entry.name}.txt").exists():
            video = entry.load()
            done.append(Finished(video, results.read(entry.name, len(video), origin=video.origin)))
    return done


def assert_equal_scores(ours: dict, theirs: dict) -> None:
    overall = theirs["overall"]
    assert ours["success"] == pytest.approx(overall["success_score"], abs=1e-12)
    assert ours["precision"] == pytest.approx(overall["precision_score"], abs=1e-12)
    np.testing.assert_allclose(ours["curves"]["success"]["values"], overall["success_curve"], atol=1e-12)
    np.testing.assert_allclose(ours["curves"]["precision"]["values"], overall["precision_curve"], atol=1e-12)
    assert set(ours["sequences"]) == set(theirs["seq_wise"])
    for name, row in theirs["seq_wise"].items():
        assert ours["sequences"][name]["success"] == pytest.approx(row["success_score"], abs=1e-12)
        assert ours["sequences"][name]["precision"] == pytest.approx(row["precision_score"], abs=1e-12)


def test_otb_scores_are_the_toolkits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "otb"
    for name in OTB._OTB__otb15_seqs:  # the toolkit downloads folders that are missing
        (root / name).mkdir(parents=True)
    results = ResultFolder(tmp_path / "results" / "OTB2015" / "ours")
    for name, suffix, frames in (("Walking", "", 40), ("Jogging", ".1", 25), ("Jogging", ".2", 25), ("Woman", "", 1)):
        truth = some_truth(frames)
        pictures = [root / name / "img" / f"{i:04}.jpg" for i in range(1, frames + 1)]
        write_sequence(pictures, root / name / f"groundtruth_rect{suffix}.txt", truth)
        if frames > 1:  # the toolkit cannot read results of a single frame
            results.write(name + suffix, run_of(some_boxes(truth)))
    (root / "Woman" / "groundtruth_rect.txt").unlink()
    experiment = ExperimentOTB(str(root), 2015, str(tmp_path / "results"), str(tmp_path / "reports"))
    monkeypatch.setattr(experiment, "plot_curves", lambda _: None)
    theirs = experiment.report(["ours"])["ours"]
    ours = summarise(find_benchmark("otb100"), finished("otb100", root, results), "drop")
    assert len(ours["sequences"]) == 3
    assert_equal_scores(ours, theirs)


def test_scores_do_not_depend_on_what_the_first_pixel_is_called(tmp_path: Path) -> None:
    truth = some_truth(40)
    boxes = some_boxes(truth)
    absent = np.zeros(40, dtype=bool)
    shift = np.array([1, 1, 0, 0])
    np.testing.assert_allclose(iou(boxes - shift, truth - shift), metrics.rect_iou(boxes, truth), atol=1e-12)
    error = metrics.center_error(boxes, truth)
    np.testing.assert_allclose(centre_error(boxes - shift, truth - shift), error, atol=1e-12)
    ours, moved = (curves(b, t, absent, "drop") for b, t in ((boxes, truth), (boxes - shift, truth - shift)))
    assert moved.success_score == pytest.approx(ours.success_score, abs=1e-12)
    # What is written in a layout's own pixels is read back as it was.
    results = ResultFolder(tmp_path)
    results.write("Walk", run_of(boxes - shift), origin=1.0)
    np.testing.assert_allclose(np.loadtxt(tmp_path / "Walk.txt", delimiter=","), boxes, atol=1e-4)
    read = results.read("Walk", 40, origin=1.0)
    assert read is not None
    np.testing.assert_allclose(read.boxes, boxes - shift, atol=1e-4)


def test_uav123_scores_with_frames_without_the_object_are_the_toolkits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "uav"
    results = ResultFolder(tmp_path / "results" / "UAV123" / "ours")
    truth = some_truth(253)
    truth[50:90] = np.nan
    pictures = [root / "data_seq" / "UAV123" / "bird1" / f"{i:06}.jpg" for i in range(1, 254)]
    write_sequence(pictures, root / "anno" / "UAV123" / "bird1_1.txt", truth)
    results.write("bird1_1", run_of(some_boxes(truth)))
    for name in ("readme", "more"):  # the toolkit takes a root with few entries for a broken download
        (root / name).touch()
    experiment = ExperimentUAV123(str(root), "UAV123", str(tmp_path / "results"), str(tmp_path / "reports"))
    monkeypatch.setattr(experiment, "plot_curves", lambda _: None)
    theirs = experiment.report(["ours"])["ours"]
    ours = summarise(find_benchmark("uav123"), finished("uav123", root, results), "drop")
    assert_equal_scores(ours, theirs)


def test_got10k_scores_are_the_toolkits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, results = tmp_path / "got", ResultFolder(tmp_path / "ours")
    names = [f"GOT-10k_Val_{i:06}" for i in (1, 2)]
    for name, frames in zip(names, (30, 50), strict=True):
        folder, truth = root / "val" / name, some_truth(frames)
        write_sequence([folder / f"{i:08}.jpg" for i in range(1, frames + 1)], folder / "groundtruth.txt", truth)
        for label in ("cover", "absence", "cut_by_image"):
            np.savetxt(folder / f"{label}.label", RANDOM.integers(0, 3, frames), fmt="%d")
        (folder / "meta_info.ini").write_text("[METAINFO]\nresolution: (60, 50)\n")
        boxes = some_boxes(truth)
        boxes[3] = [-20, 5, 15, 20]  # left of the picture: the toolkit cuts it to the border
        results.write(name, run_of(boxes))
        of_toolkit = tmp_path / "results" / "GOT-10k" / "ours" / name
        of_toolkit.mkdir(parents=True)
        np.savetxt(of_toolkit / f"{name}_001.txt", boxes, delimiter=",", fmt="%.4f")
        np.savetxt(of_toolkit / f"{name}_time.txt", np.full(frames, 0.01))
    (root / "val" / "list.txt").write_text("\n".join(names))
    experiment = ExperimentGOT10k(str(root), "val", str(tmp_path / "results"), str(tmp_path / "reports"))
    monkeypatch.setattr(experiment, "plot_curves", lambda *_: None)
    theirs = experiment.report(["ours"])["ours"]
    ours = summarise(find_benchmark("got10k-val"), finished("got10k-val", root, results), "drop")
    assert ours["scores"]["ao"] == pytest.approx(theirs["overall"]["ao"], abs=1e-12)
    assert ours["scores"]["sr50"] == pytest.approx(theirs["overall"]["sr"], abs=1e-12)
    assert ours["scores"]["sr75"] == pytest.approx(theirs["overall"]["succ_curve"][75], abs=1e-12)
    for name in names:
        assert ours["sequences"][name]["ao"] == pytest.approx(theirs["seq_wise"][name]["ao"], abs=1e-12)


def test_overlap_and_error_are_the_toolkits() -> None:
    truth = some_truth(200)
    boxes = some_boxes(truth)
    np.testing.assert_allclose(iou(boxes, truth), metrics.rect_iou(boxes, truth), atol=1e-12)
    np.testing.assert_allclose(centre_error(boxes, truth), metrics.center_error(boxes, truth), atol=1e-12)
    bounded = metrics.rect_iou(boxes.copy(), truth.copy(), bound=(30, 25))
    np.testing.assert_allclose(iou(boxes, truth, (30, 25)), bounded, atol=1e-12)


TRUTH = np.array([[10, 10, 20, 10], [10, 10, 20, 10], [np.nan] * 4, [10, 10, 20, 10.0]])
BOXES = np.array([[0, 0, 1, 1], [20, 10, 20, 10], [0, 0, 9, 9], [10, 25, 20, 10.0]])
"""Second frame: half of each box is shared, so the overlap is 1/3 and the middles are 10 pixels, half a width, apart.
Fourth: nothing is shared, 15 pixels, one and a half heights."""
ABSENT = np.isnan(TRUTH).any(axis=1)


def test_frames_without_the_object_are_left_out() -> None:
    result = curves(BOXES, TRUTH, ABSENT, "drop")
    # Overlaps 1 (the first box is the true one), 1/3, 0; thresholds 0, 0.05 ... 1, strictly above.
    assert result.success_score == pytest.approx((20 / 21 + 7 / 21 + 0) / 3)
    assert result.precision[[0, 9, 10, 14, 15]] == pytest.approx([1 / 3, 1 / 3, 2 / 3, 2 / 3, 1])
    assert result.precision_score == 1
    # Half a size is the last threshold: one of two later frames is within it, there only.
    assert result.normalised_precision[[0, 49, 50]] == pytest.approx([1 / 3, 1 / 3, 2 / 3])
    assert result.normalised_precision_at_fifth == pytest.approx(1 / 3)


def test_frames_without_the_object_count_as_missed() -> None:
    result = curves(BOXES, TRUTH, ABSENT, "failure")
    assert result.success_score == pytest.approx((20 / 21 + 7 / 21 + 0 + 0) / 4)
    assert result.precision_score == pytest.approx(3 / 4)


def test_the_normalised_error_is_in_sizes_of_the_true_box() -> None:
    np.testing.assert_allclose(normalised_centre_error(BOXES, TRUTH)[[1, 3]], [0.5, 1.5])


def test_the_first_frame_does_not_count_for_the_mean_overlap() -> None:
    assert mean_overlap(BOXES, TRUTH, ABSENT) == pytest.approx((1 / 3 + 0) / 2)


def test_a_sequence_of_one_frame_has_a_success_but_no_mean_overlap(tmp_path: Path) -> None:
    write_sequence([tmp_path / "One" / "img" / "0001.jpg"], tmp_path / "One" / "groundtruth_rect.txt", TRUTH[:1])
    (entry,) = open_benchmark(find_benchmark("folder"), tmp_path)
    summary = summarise(find_benchmark("folder"), [Finished(entry.load(), run_of(TRUTH[:1]))], "drop")
    assert summary["sequences"]["One"]["success"] == pytest.approx(20 / 21)
    assert summary["sequences"]["One"]["mean_iou"] is None
    assert summary["sequences"]["One"]["fps"] is None
    assert summary["mean_iou"] is None
