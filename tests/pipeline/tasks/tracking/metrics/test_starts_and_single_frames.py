"""Multi-start and single-frame evaluation: which frames trackers are run on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from netx.errors import MonospikeError
from pipeline.datasets.catalog import find_benchmark, open_benchmark
from pipeline.datasets.errors import DataError
from pipeline.tasks.tracking.metrics.evaluate import open_runs
from pipeline.tasks.tracking.metrics.multi_start import sequence_of


def write_pictures(folder: Path, count: int) -> None:
    folder.mkdir(parents=True)
    for number in range(1, count + 1):
        Image.new("RGB", (40, 30)).save(folder / f"{number:04}.jpg")


def write_boxes(path: Path, count: int) -> None:
    path.write_text("".join(f"{3 + i % 9},{4 + i % 7},{10 + i % 3},8.5\n" for i in range(count)))


def test_a_sequence_is_followed_from_several_frames_to_the_end_farther_away(tmp_path: Path) -> None:
    write_pictures(tmp_path / "Long" / "img", 9)
    write_boxes(tmp_path / "Long" / "groundtruth_rect.txt", 9)
    folder = find_benchmark("folder")
    runs = {run.name: run.load() for run in open_runs(folder, tmp_path, 4)}
    whole = open_benchmark(find_benchmark("folder"), tmp_path)[0]
    expected = {  # 8 / 3 and 16 / 3 are nearest to frames 3 and 5
        "Long@0": [0, 1, 2, 3, 4, 5, 6, 7, 8],
        "Long@3": [3, 4, 5, 6, 7, 8],
        "Long@5-backwards": [5, 4, 3, 2, 1, 0],
        "Long@8-backwards": [8, 7, 6, 5, 4, 3, 2, 1, 0],
    }
    assert list(runs) == list(expected)
    for name, frames in expected.items():
        assert [picture.name for picture in runs[name].pictures] == [f"{frame + 1:04}.jpg" for frame in frames]
        np.testing.assert_array_equal(runs[name].boxes, whole.boxes[frames])
        assert (runs[name].name, sequence_of(name)) == (name, "Long")


def test_no_start_lies_where_the_object_is_not(tmp_path: Path) -> None:
    write_pictures(tmp_path / "Away" / "img", 7)
    boxes = np.full((7, 4), 5.0)
    boxes[[0, 3, 4, 6]] = np.nan
    (tmp_path / "Away" / "groundtruth_rect.txt").write_text("".join(",".join(map(str, row)) + "\n" for row in boxes))
    folder = find_benchmark("folder")
    runs = open_runs(folder, tmp_path, 5)
    assert [run.name for run in runs] == ["Away@1", "Away@2", "Away@5-backwards"]


def test_a_target_of_each_start_is_searched_for_all_over_the_sequence_near_its_true_boxes(tmp_path: Path) -> None:
    write_pictures(tmp_path / "Long" / "img", 9)
    write_boxes(tmp_path / "Long" / "groundtruth_rect.txt", 9)
    folder = find_benchmark("folder")
    whole = open_benchmark(find_benchmark("folder"), tmp_path)[0]
    first, last = (run.load() for run in open_runs(folder, tmp_path, starts=2, single_frame=5))
    assert (first.name, last.name) == ("Long@0", "Long@8-backwards")
    for run, start in ((first, 0), (last, 8)):
        frames = [start, 0, 2, 4, 6, 8]
        assert [picture.name for picture in run.pictures] == [f"{frame + 1:04}.jpg" for frame in frames]
        np.testing.assert_array_equal(run.boxes, whole.boxes[frames])
        resized = run.near[:, 2:] / run.boxes[:, 2:]
        assert (abs(np.log(resized)) <= 0.25).all()
        np.testing.assert_allclose(resized[:, 0], resized[:, 1], err_msg="a target keeps its shape")
        off = run.near[:, :2] + run.near[:, 2:] / 2 - run.boxes[:, :2] - run.boxes[:, 2:] / 2
        assert (abs(off) <= np.sqrt(run.boxes[:, 2] * run.boxes[:, 3])[:, None]).all()
        assert len(np.unique(off)) == off.size
    assert not np.isin(first.near, last.near).any(), "each start has boxes of its own"
    again, _ = open_runs(folder, tmp_path, starts=2, single_frame=5)
    np.testing.assert_array_equal(again.load().near, first.near)


def test_no_frame_without_the_object_is_searched(tmp_path: Path) -> None:
    write_pictures(tmp_path / "Away" / "img", 7)
    boxes = np.full((7, 4), 5.0)
    boxes[[3, 4, 6]] = np.nan
    (tmp_path / "Away" / "groundtruth_rect.txt").write_text("".join(",".join(map(str, row)) + "\n" for row in boxes))
    (run,) = open_runs(find_benchmark("folder"), tmp_path, single_frame=8)
    shown = [int(picture.stem) - 1 for picture in run.load().pictures]
    assert (run.name, shown[0], set(shown[1:])) == ("Away", 0, {0, 1, 2, 5})


def test_a_bad_sequence_fails_alone_also_with_several_starts(tmp_path: Path) -> None:
    for name in ("Bad", "Good"):
        write_pictures(tmp_path / name / "img", 3)
        write_boxes(tmp_path / name / "groundtruth_rect.txt", 3 if name == "Good" else 7)
    folder = find_benchmark("folder")
    bad, *good = open_runs(folder, tmp_path, 2)
    assert [run.name for run in good] == ["Good@0", "Good@2-backwards"]
    with pytest.raises(MonospikeError, match="Bad"):
        bad.load()


@pytest.mark.parametrize(
    ("name", "message"),
    [("vot2018", "vot2018 has its own rule for starting again"), ("got10k-test", "tells only the first frame's box")],
)
def test_some_benchmarks_have_one_start(name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_runs(find_benchmark(name), None, 3)
    with pytest.raises(DataError, match=message):
        open_runs(find_benchmark(name), None, single_frame=3)
