"""Scores of sequences: what vos-benchmark 0.1.0 says, and its odd rules with figures by hand."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from drawn_masks import set_of_pairs

from netx.errors import MonospikeError
from pipeline.datasets.label_masks import LabelMask, write_labels
from pipeline.tasks.segmentation.metrics.scores import Found, decay, measured, recall, scores

VOS_BENCHMARK = {
    "a": {"1": [71.20619277245518, 56.08715923518637]},
    "b": {
        "1": [72.8675562180863, 66.88721062282856],
        "2": [68.37321541357714, 46.76614369913853],
        "3": [49.102287317475195, 27.183101883287197],
    },
    "c": {"1": [64.69318914055773, 66.66666666666666], "2": [63.51556428652885, 66.66666666666666]},
    "late": {"1": [66.96394594404119, 71.42857142857143], "2": [61.7414830262758, 45.66708072154291]},
    "more": {"1": [65.98631118221854, 58.164258495619706], "2": [57.397460607693354, 41.189999988201855]},
}
"""J and F in percent by sequence and object, with numpy 1.26.4, OpenCV 4.11.0 and scikit-image 0.25.2."""

VOS_BENCHMARK_GLOBAL = 59.42770326583096, 64.18472059089092, 54.67068594077099


def test_scores_are_vos_benchmarks_to_the_last_digit() -> None:
    pairs = set_of_pairs()
    for name, (true, found) in pairs.items():
        got = {
            str(index): [float(np.mean(values.j) * 100), float(np.mean(values.f) * 100)]
            for index, values in measured(name, true, found).items()
        }
        assert got == VOS_BENCHMARK[name]
    whole = scores({name: true for name, (true, _) in pairs.items()}, {n: Found(f) for n, (_, f) in pairs.items()})
    means = [100 * whole[key] for key in ("j_and_f", "j", "f")]
    assert means == pytest.approx(VOS_BENCHMARK_GLOBAL, rel=1e-15)  # which has multiplied before it takes the mean


def test_the_figures_are_what_vos_benchmark_says_today(tmp_path: Path) -> None:
    python = os.environ.get("VOS_BENCHMARK_PYTHON")
    if python is None:
        pytest.skip("VOS_BENCHMARK_PYTHON does not name a Python that has vos-benchmark 0.1.0")
    for name, pair in set_of_pairs().items():
        for kind, masks in zip(("true", "found"), pair, strict=True):
            for number, mask in enumerate(masks):
                write_labels(tmp_path / kind / name / f"{number:05}.png", mask)
    oracle = Path(__file__).with_name("vos_oracle.py")
    command = [python, str(oracle), str(tmp_path / "true"), str(tmp_path / "found")]
    said = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout)
    assert said == {"global": list(VOS_BENCHMARK_GLOBAL), "objects": VOS_BENCHMARK}


def rows(*objects: int) -> LabelMask:
    """An object a row of ten; 0 for none."""
    mask = np.zeros((10, 10), np.uint8)
    for row, index in enumerate(objects):
        mask[row] = index
    return mask


def means(true: list[LabelMask | None], found: list[LabelMask], **how: str) -> dict[int, tuple[float, float]]:
    got = measured("it", true, found, **how)  # type: ignore[arg-type]
    return {index: (float(values.j.mean()), float(values.f.mean())) for index, values in got.items()}


def test_the_first_and_the_last_frame_do_not_count() -> None:
    """Both are wrong here, two of five."""
    right, wrong = rows(1), rows(0, 0, 0, 0, 0, 1)
    assert means([right] * 5, [wrong, right, right, right, wrong]) == {1: (1.0, 1.0)}


def test_an_object_counts_from_the_frame_in_which_it_is_first_seen() -> None:
    """It appears in frame 3 of 0 to 5: two frames count. Found in frame 1 already, frames 1 and 2 are wrong."""
    true = [rows(1)] * 3 + [rows(1, 0, 2)] * 3
    assert means(true, true) == {1: (1.0, 1.0), 2: (1.0, 1.0)}
    assert len(measured("it", true, true)[2].j) == 2
    early = [rows(1)] + [rows(1, 0, 2)] * 5
    assert means(true, early)[2] == (0.5, 0.5)
    assert len(measured("it", true, early)[2].j) == 4


def test_an_object_that_is_only_found_costs_nothing() -> None:
    """But for the pixels that it takes from another one."""
    true, found = [rows(1, 1)] * 4, [rows(1, 1, 0, 0, 5)] * 4
    assert means(true, found) == {1: (1.0, 1.0)}
    assert means(true, [rows(1, 5)] * 4)[1][0] == 0.5


def test_an_object_that_is_gone_and_rightly_not_found_is_right() -> None:
    true = [rows(1), rows(1), rows(), rows()]
    assert means(true, true) == {1: (1.0, 1.0)}
    assert means(true, [rows(1)] * 4) == {1: (0.5, 0.5)}


def test_the_mean_is_over_all_objects_and_not_over_sequences() -> None:
    three, one = [rows(1, 0, 2, 0, 3)] * 4, [rows(1)] * 4
    got = scores({"three": three, "one": one}, {"three": Found(three), "one": Found([rows()] * 4)})
    assert (got["j"], got["f"], got["j_and_f"]) == (0.75, 0.75, 0.75)
    assert {name: row["j"] for name, row in got["sequences"].items()} == {"three": 1.0, "one": 0.0}
    assert list(got["sequences"]["three"]["objects"]) == ["1", "2", "3"]


@pytest.mark.parametrize("frames", [1, 2])
def test_a_sequence_of_two_frames_or_one_has_nothing_that_counts(frames: int) -> None:
    short = [rows(1)] * frames
    got = scores({"short": short}, {"short": Found(short, 0.5)})
    assert (got["j_and_f"], got["sequences"]["short"]["j"], got["sequences"]["short"]["objects"]) == (None, None, {})
    assert (got["fps"], got["frames"]) == (2 * frames, frames)
    # And it does not count in the mean.
    other = [rows(1)] * 4
    got = scores({"short": short, "it": other}, {"short": Found(short), "it": Found(other)})
    assert got["j_and_f"] == 1.0


def test_frames_without_a_true_mask_do_not_count() -> None:
    """Of those that have one the first and the last are left out."""
    true = [rows(1), None, rows(1), None, rows(1), rows(1)]
    found = [rows(1), rows(), rows(1), rows(), rows(), rows()]
    assert means(true, found) == {1: (0.5, 0.5)}


def test_void_counts_for_nothing() -> None:
    """DAVIS's own code of this task takes it for background: what is found there is wrong."""
    true, found = [rows(1, 255)] * 4, [rows(1, 1)] * 4
    assert means(true, found) == {1: (1.0, 1.0)}
    assert means(true, found, void="background")[1][0] == 0.5
    assert means(true, true, void="background") == {1: (1.0, 1.0)}


def test_recall_is_the_share_of_frames_above_one_half() -> None:
    assert recall(np.array([0.4, 0.5, 0.5000001, 0.9, 1.0])) == 3 / 5


@pytest.mark.parametrize(
    ("count", "first", "last"),
    [(1, (0, 0), (0, 0)), (2, (0, 0), (1, 1)), (4, (0, 1), (2, 3)), (9, (0, 2), (6, 8)), (11, (0, 3), (8, 10))],
)
def test_decay_is_the_first_quarter_less_the_last_and_quarters_share_their_borders(
    count: int, first: tuple[int, int], last: tuple[int, int]
) -> None:
    """First and last frame of both quarters by hand: of 11 frames they are cut at 0, 2.5, 5, 7.5 and 10, halves up."""
    values = np.arange(count) ** 2 / 100.0
    quarters = [np.mean([v**2 / 100 for v in range(a, b + 1)]) for a, b in (first, last)]
    assert decay(values) == pytest.approx(quarters[0] - quarters[1], abs=1e-12)


def test_decay_of_more_than_256_frames_does_not_wrap() -> None:
    """DAVIS's own code keeps borders in 8 bits: of 400 frames the last is then 143 and not 399. The quarters are frames
    0 to 100 and 299 to 399."""
    assert decay(np.linspace(1, 0, 400)) == pytest.approx(299 / 399)


def test_masks_that_do_not_fit_are_named() -> None:
    true = [rows(1)] * 4
    with pytest.raises(MonospikeError, match="sequence 'it': has 4 frames, and 3 masks were found"):
        measured("it", true, true[:3])
    with pytest.raises(MonospikeError, match=r"sequence 'it', frame 1: the mask found is uint8 of shape \(9, 10\)"):
        measured("it", true, [mask[1:] for mask in true])
    with pytest.raises(MonospikeError, match="sequence 'it', frame 1: the mask found is int64"):
        measured("it", true, [mask.astype(np.int64) for mask in true])


def test_speed_is_of_all_frames_whose_time_is_known() -> None:
    frames = [rows(1)] * 4
    got = scores({"a": frames, "b": frames}, {"a": Found(frames, 0.5), "b": Found(frames)})
    assert (got["fps"], got["sequences"]["a"]["fps"], got["sequences"]["b"]["fps"]) == (8.0, 8.0, None)
