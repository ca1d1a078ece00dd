"""VOT2018: overlap on the pixel grid, the run that starts again after failures, and A, R and EAO."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from got10k.experiments import ExperimentVOT
from got10k.trackers import Tracker
from PIL import Image
from shapely.geometry import Polygon, box

from pipeline.datasets.catalog import find_benchmark, open_benchmark
from pipeline.tasks.tracking.metrics.running import supervised
from pipeline.tasks.tracking.metrics.summary import Finished, summarise
from pipeline.tasks.tracking.metrics.vot import accuracy, expected_overlap, polygon_overlap, robustness, settled
from pipeline.tasks.tracking.predictions import Predictions, State


def mask(corners: np.ndarray, width: int, height: int) -> np.ndarray:
    """Pixels of a convex quadrangle with whole corners, edges included: point by point, with integers alone."""
    points = corners.reshape(4, 2).astype(int)
    rows, columns = np.mgrid[:height, :width]
    sides = []
    for (x1, y1), (x2, y2) in zip(points, np.roll(points, -1, axis=0), strict=True):
        sides.append((x2 - x1) * (rows - y1) - (y2 - y1) * (columns - x1))
    sides = np.array(sides)
    return (sides >= 0).all(axis=0) | (sides <= 0).all(axis=0)


def upright(x: float, y: float, width: float, height: float) -> np.ndarray:
    return np.array([x, y, x + width, y, x + width, y + height, x, y + height], dtype=float)


def turned(random: np.random.Generator) -> np.ndarray:
    """A rotated box somewhere about a picture of 120 by 90."""
    angle, middle, half = random.uniform(0, np.pi), random.uniform((0, 0), (120, 90)), random.uniform(8, 45, 2)
    axes = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return (middle + (np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half) @ axes).ravel()


def test_upright_boxes_overlap_by_their_pixels_edges_included() -> None:
    # 11 x 11 pixels each, of which columns 5..10 and rows 0..10 are shared.
    assert polygon_overlap(upright(0, 0, 10, 10), upright(5, 0, 10, 10), (99, 99)) == pytest.approx(66 / (242 - 66))


@pytest.mark.parametrize("seed", range(40))
def test_whole_upright_boxes_overlap_as_their_masks_do(seed: int) -> None:
    random = np.random.default_rng(seed)
    first, second = (upright(*random.integers(-10, 60, 2), *random.integers(2, 60, 2)) for _ in range(2))
    masks = [mask(corners, 60, 50) for corners in (first, second)]
    edges = [np.maximum(first[:2], second[:2]), np.minimum(first[4:6], second[4:6])]
    edges = [np.maximum(edges[0], 0), np.minimum(edges[1], (59, 49))]
    expected = (masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum() if (edges[1] > edges[0]).all() else 0
    assert polygon_overlap(first, second, (59, 49)) == pytest.approx(expected)


def scanned(corners: np.ndarray, left: int, top: int, width: int, height: int) -> np.ndarray:
    """The mask of a quadrangle in a window of the picture, row by row and edge by edge as the VOT toolkit fills it."""
    filled = np.zeros((height, width), dtype=bool)
    points = [(round(x - left), round(y - top)) for x, y in corners.reshape(4, 2)]
    for row in range(height):
        crossings = []
        for (x1, y1), (x2, y2) in zip(points, points[1:] + points[:1], strict=True):
            if y1 != y2 and min(y1, y2) <= row <= max(y1, y2):
                crossings.append(int(x1 + (row - y1) / (y2 - y1) * (x2 - x1)))
        if crossings and max(crossings) > min(crossings):
            for column in range(max(min(crossings), 0), min(max(crossings), width - 1) + 1):
                filled[row, column] = True
    return filled


@pytest.mark.parametrize("seed", range(40))
def test_rotated_boxes_overlap_as_their_masks_do(seed: int) -> None:
    random = np.random.default_rng(100 + seed)
    first, second = turned(random), turned(random)
    lows = [np.maximum(np.floor(c.reshape(4, 2).min(axis=0)), 0) for c in (first, second)]
    highs = [np.minimum(np.ceil(c.reshape(4, 2).max(axis=0)), (119, 89)) for c in (first, second)]
    left, top = (int(value) for value in np.minimum(*lows))
    width, height = (int(value) for value in np.maximum(*highs) - np.minimum(*lows) + 1)
    one, two = (scanned(corners, left, top, width, height) for corners in (first, second))
    apart = (np.minimum(*highs) <= np.maximum(*lows)).any()
    expected = 0 if apart else (one & two).sum() / (one | two).sum()
    assert polygon_overlap(first, second, (119, 89)) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(10))
def test_rotated_boxes_overlap_as_their_areas_do_but_for_pixels_at_the_edges(seed: int) -> None:
    random = np.random.default_rng(seed)
    first, second = turned(random), turned(random)
    picture = box(0, 0, 119, 89)
    areas = [Polygon(corners.reshape(4, 2)).intersection(picture) for corners in (first, second)]
    both, either = areas[0].intersection(areas[1]), areas[0].union(areas[1])
    found = polygon_overlap(first, second, (119, 89))
    # Every edge may lie a pixel further out.
    edge = both.length + either.length
    assert abs(found - both.area / either.area) <= 1.2 * edge / either.area


def test_only_what_is_in_the_picture_counts() -> None:
    # Rows 0..20 of both are in the picture, and the same there.
    assert polygon_overlap(upright(5, -30, 10, 50), upright(5, -5, 10, 25), (40, 40)) == 1
    assert polygon_overlap(upright(-50, 0, 40, 40), upright(-50, 0, 40, 40), (40, 40)) == 0


def test_boxes_that_share_an_edge_do_not_overlap() -> None:
    assert polygon_overlap(upright(0, 0, 10, 10), upright(10, 0, 10, 10), (99, 99)) == 0


class Drifter:
    """Moves its box by the same step each frame, whatever it sees."""

    def __init__(self, step: tuple[float, float]) -> None:
        self.move = np.array([*step, 0, 0], dtype=float)

    def start(self, _: np.ndarray, box: np.ndarray) -> None:
        self.box = np.array(box, dtype=float)

    def step(self, _: np.ndarray) -> np.ndarray:
        self.box = self.box + self.move
        return self.box


class DrifterOfToolkit(Tracker):
    def __init__(self, step: tuple[float, float]) -> None:
        super().__init__("drifter", is_deterministic=True)
        self._drifter = Drifter(step)

    def init(self, image: Image.Image, box: np.ndarray) -> None:
        self._drifter.start(np.asarray(image), box)

    def update(self, image: Image.Image) -> np.ndarray:
        return self._drifter.step(np.asarray(image))


FRAMES = 60
STEP = (3.0, 1.0)


@pytest.fixture
def vot_root(tmp_path: Path) -> Path:
    """A sequence whose object stands still in a slightly turned box, so that a drifting tracker loses it again and
    again."""
    folder = tmp_path / "vot" / "still"
    folder.mkdir(parents=True)
    for number in range(1, FRAMES + 1):
        Image.new("RGB", (160, 120)).save(folder / f"{number:08}.jpg")
    corners = [40, 30, 70, 33, 68, 53, 38, 50]
    (folder / "groundtruth.txt").write_text((",".join(map(str, corners)) + "\n") * FRAMES)
    (tmp_path / "vot" / "list.txt").write_text("still\n")
    return tmp_path / "vot"


def test_the_tracker_is_started_again_where_the_toolkit_starts_it_again(vot_root: Path, tmp_path: Path) -> None:
    (entry,) = open_benchmark(find_benchmark("vot2018"), vot_root)
    run = supervised(Drifter(STEP), entry.load())
    experiment = ExperimentVOT(str(vot_root), 2018, experiments="supervised", result_dir=str(tmp_path / "results"))
    experiment.run(DrifterOfToolkit(STEP))
    record = tmp_path / "results" / "VOT2018" / "drifter" / "baseline" / "still" / "still_001.txt"
    lines = [[float(word) for word in line.split(",")] for line in record.read_text().split()]
    assert run.states.tolist() == [State.TRACKED if len(line) == 4 else line[0] for line in lines]
    assert len(run.failures) > 2
    for row, line in zip(run.boxes, lines, strict=True):
        if len(line) == 4:
            np.testing.assert_allclose(row, line, atol=1e-3)


def test_a_sequence_is_summarised_with_both_definitions(vot_root: Path) -> None:
    (entry,) = open_benchmark(find_benchmark("vot2018"), vot_root)
    video = entry.load()
    run = supervised(Drifter((0, 0)), video)
    summary = summarise(find_benchmark("vot2018"), [Finished(video, run)], "failure")
    # A tracker that stays on its start box: every settled frame overlaps alike.
    start = video.boxes[0]
    each = polygon_overlap(upright(*start), video.polygons[0], (160, 120))
    assert 0.5 < each < 1
    assert summary["mean_iou"] == summary["scores"]["accuracy_vot"] == pytest.approx(each)
    assert summary["scores"]["robustness_pysot"] == summary["scores"]["failures"] == 0
    assert summary["success"] is None
    assert summary["scores"]["eao_pysot"] is None, "no sequence is as long as the typical ones"


def run_of(states: str) -> Predictions:
    """``s`` started, ``t`` tracked, ``f`` failed, ``.`` skipped."""
    codes = np.array([{".": 0, "s": 1, "f": 2, "t": 3}[state] for state in states])
    return Predictions(np.zeros((len(codes), 4)), codes, np.full(len(codes), 0.01))


def test_ten_frames_from_each_start_do_not_count_for_accuracy() -> None:
    run = run_of("s" + "t" * 13 + "f...." + "s" + "t" * 11)
    overlaps = np.where(run.states == State.TRACKED, np.arange(len(run.states)) / 100, np.nan)
    assert settled(run, overlaps).tolist() == pytest.approx([0.10, 0.11, 0.12, 0.13, 0.29, 0.30])


def test_accuracy_and_robustness_by_both_toolkits() -> None:
    counted = [np.array([0.2, 0.4, 0.6]), np.array([0.9])]
    lengths, failures = [100, 300], [3, 1]
    assert accuracy(counted, lengths, "pysot") == pytest.approx((0.2 + 0.4 + 0.6 + 0.9) / 4)
    assert accuracy(counted, lengths, "vot") == pytest.approx((0.4 * 100 + 0.9 * 300) / 400)
    assert robustness(failures, lengths, "pysot") == pytest.approx(100 * 4 / 400)
    assert robustness(failures, lengths, "vot") == pytest.approx((3 * 100 + 1 * 300) / 400)


def test_the_published_robustness_of_s4_is_79_failures_in_vot2018() -> None:
    # R 0.370 over the 21,356 frames of VOT2018, in pysot's definition.
    assert robustness([79], [21_356], "pysot") == pytest.approx(0.370, abs=5e-4)


def constant(states: str, value: float) -> tuple[Predictions, np.ndarray]:
    run = run_of(states)
    return run, np.where(run.states == State.TRACKED, value, np.nan)


@pytest.mark.parametrize("toolkit", ["pysot", "vot"])
def test_the_expected_overlap_of_an_even_track_is_its_overlap(toolkit: str) -> None:
    run, overlaps = constant("s" + "t" * 399, 0.7)
    assert expected_overlap([run], [overlaps], toolkit) == pytest.approx(0.7)


def test_after_a_failure_the_expected_overlap_is_that_of_both_runs() -> None:
    # Lost in frame 200, started again in 205: frames 1..199 and 1..194 overlap fully, one run has failed, one has not.
    run, overlaps = constant("s" + "t" * 199 + "f...." + "s" + "t" * 194, 1.0)
    assert len(run.states) == 400

    def at(length: int) -> float:
        first = min(199, length) / length
        return (first + 1) / 2 if length <= 194 else first

    assert expected_overlap([run], [overlaps], "pysot") == pytest.approx(np.mean([at(i) for i in range(99, 356)]))
    # The official toolkit's curve ends with the longest run: 200 frames, of which 1..199 have a length.
    assert expected_overlap([run], [overlaps], "vot") == pytest.approx(np.mean([at(i) for i in range(100, 200)]))


def test_a_failure_in_the_last_five_frames_ends_a_run_in_pysot_only() -> None:
    short, overlaps = constant("s" + "t" * 117 + "f.", 1.0)
    long, even = constant("s" + "t" * 399, 0.5)

    def at(length: int, reach: int) -> float:
        return (min(117, length) / length + 0.5) / 2 if length < reach else 0.5

    pysot = expected_overlap([short, long], [overlaps, even], "pysot")
    official = expected_overlap([short, long], [overlaps, even], "vot")
    assert pysot == pytest.approx(np.mean([at(i, reach=120) for i in range(99, 356)]))
    assert official == pytest.approx(np.mean([at(i, reach=400) for i in range(100, 357)]))
