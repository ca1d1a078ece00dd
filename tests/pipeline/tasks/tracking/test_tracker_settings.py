"""Crops and post-processing by benchmark, and the published loop written out a second time."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from netx.errors import FormatError
from pipeline.cli import app as cli
from pipeline.core.config import ConfigError
from pipeline.datasets.catalog import BENCHMARKS
from pipeline.tasks.tracking.checkpoint import save_model
from pipeline.tasks.tracking.config import TrackerConfig
from pipeline.tasks.tracking.models.config import WIDTHS, SiamFCppConfig
from pipeline.tasks.tracking.models.siamfcpp import SiamFCpp
from pipeline.tasks.tracking.predictor import Geometry, ScoreMap, Siamese
from pipeline.tasks.tracking.settings import settings_for

OTB, VOT = (0.23153228172839774, 0.05413758904760692, 0.5249642198880932), (0.21, 0.08, 0.58)
GOT = (0.21, 0.04, 0.52)
PUBLISHED = {
    "otb100": OTB,
    "uav123": OTB,
    "vot2018": VOT,
    "got10k-train": GOT,
    "got10k-val": GOT,
    "got10k-test": GOT,
}


def given(benchmark: str | None, config: Path | None = None, stored: TrackerConfig | None = None) -> TrackerConfig:
    return settings_for(stored or TrackerConfig(), config, benchmark, "student.safetensors")


@pytest.mark.parametrize("benchmark", [*BENCHMARKS, None])
def test_models_get_siamfcpps_published_constants_of_the_benchmark(benchmark):
    settings = given(benchmark)
    assert (settings.window, settings.penalty, settings.size_rate) == PUBLISHED.get(benchmark, OTB)
    assert (settings.context, settings.smallest, settings.border) == (0.5, 10, "first")
    assert settings.zero_rim
    assert settings.whole_pixels


def test_a_file_changes_what_it_names_and_nothing_else(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("tracker: {window: 0.3}\nbenchmarks:\n  vot2018: {penalty: 0.01}\n")
    assert given("otb100", file) == given("otb100").model_copy(update={"window": 0.3})
    changed = given("vot2018").model_copy(update={"window": 0.3, "penalty": 0.01})
    assert given("vot2018", file) == changed


def test_what_was_saved_with_a_model_stands_where_nothing_else_is_published_or_asked_for():
    saved = TrackerConfig(window=0.4, penalty=0.2, size_rate=0.1, smallest=3, border="frame")
    assert given(None, stored=saved) == given("otb100", stored=saved) == saved
    vot = given("vot2018", stored=saved)
    assert (vot.window, vot.penalty, vot.size_rate) == VOT
    assert (vot.smallest, vot.border) == (3, "frame")


def test_a_training_gives_its_tracker_section(tmp_path):
    file = tmp_path / "training.yaml"
    file.write_text("task: tracking\nname: mine\ntracker: {window: 0.3}\nlosses: []\n")
    assert given(None, file).window == 0.3
    file.write_text("task: tracking\nname: mine\n")
    assert given(None, file) == TrackerConfig()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            "tracker: {context: 0.3}",
            "student.safetensors: was trained with context = 0.5, and the configuration",
        ),
        ("tracker: {border: frame}", "was trained with border = first, and the configuration says frame"),
        (
            "benchmarks: {otb100: {whole_pixels: false}}",
            "whole_pixels = True, and the configuration says False",
        ),
    ],
)
def test_other_crops_than_the_weights_were_trained_with_are_refused(tmp_path, text, complaint):
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(FormatError) as error:
        given("otb100", file)
    assert complaint in str(error.value)
    file.write_text("tracker: {context: 0.5, border: first, whole_pixels: true, zero_rim: false}")
    assert given("otb100", file) == TrackerConfig(zero_rim=False), "the same value is no other one"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tracker: {windw: 0.3}", "mine.yaml: tracker.windw: Extra inputs are not permitted"),
        ("trackers: {window: 0.3}", "mine.yaml: trackers: Extra inputs are not permitted"),
        ("benchmarks: {vot2017: {window: 0.3}}", "there is no benchmark 'vot2017'; the benchmarks are otb100"),
        ("tracker: {window: 3}", "mine.yaml: tracker.window: Input should be less than or equal to 1"),
    ],
)
def test_a_wrong_key_is_named(tmp_path, text, message):
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as error:
        given(None, file)
    assert message in str(error.value)


def test_the_command_gives_a_model_its_benchmarks_constants(monkeypatch, tmp_path):
    checkpoint = tmp_path / "teacher.safetensors"
    save_model(SiamFCpp(SiamFCppConfig(width=WIDTHS["tiny"], template=103, search=143)), checkpoint)
    asked = []

    def opened(name, engine, settings, weights):  # noqa: ARG001
        asked.append(settings)
        raise KeyboardInterrupt

    monkeypatch.setattr("pipeline.tasks.tracking.trackers.open_tracker", opened)
    monkeypatch.setattr("pipeline.datasets.catalog.open_benchmark", lambda *_: [])
    words = ["monospike", "evaluate", "vot2018", "--tracker", str(checkpoint), "--out", str(tmp_path / "a.json")]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit):
        cli.main()
    assert asked == [given("vot2018")]


SIDES = Geometry(127, 303, 8, 8)


class Random:
    """A network of random answers, which keeps what it is shown."""

    def __init__(self) -> None:
        self.generator, self.seen, self.answers = np.random.default_rng(3), [], []

    def program(self, template) -> None:
        self.seen.append(template)

    def score(self, search) -> ScoreMap:
        self.seen.append(search)
        score = self.generator.random((17, 17)) ** 3
        self.answers.append((score, self.generator.uniform(10, 60, (4, 17, 17))))
        return ScoreMap(score, self.answers[-1][1] + 0.5)  # to the edges of pixels, from between their centres


class Published:
    """The published loop: corners at centres of pixels, which are counted from 0; siamfcpp_track.py and crop.py."""

    def __init__(self, first, box) -> None:
        x, y, w, h = box
        self.centre, self.size = np.array([x + (w - 1) / 2, y + (h - 1) / 2]), np.array([w, h])
        self.mean = tuple(map(int, first.mean(axis=(0, 1))))

    def crop(self, frame, side):
        w, h = self.size
        length = np.sqrt((w + (w + h) / 2) * (h + (w + h) / 2)) * side / 127
        length = round(length)
        low = self.centre - (length - 1) / 2
        a = (side - 1) / (length - 1)
        matrix = np.array([[a, 0, -a * low[0]], [0, a, -a * low[1]]])
        return cv2.warpAffine(frame, matrix, (side, side), borderMode=cv2.BORDER_CONSTANT, borderValue=self.mean)

    def step(self, score, offsets, shape, window, penalty_k, rate):
        w, h = self.size
        scale = 127 / np.sqrt((w + (w + h) / 2) * (h + (w + h) / 2))
        best, at = -np.inf, None
        cosine = np.hanning(17)
        for row in range(17):
            for column in range(17):
                left, top, right, bottom = offsets[:, row, column]
                x0, x1 = 87 + 8 * column - left, 87 + 8 * column + right
                y0, y1 = 87 + 8 * row - top, 87 + 8 * row + bottom
                pw, ph = x1 - x0 + 1, y1 - y0 + 1

                def area(a, b):
                    return np.sqrt((a + (a + b) / 2) * (b + (a + b) / 2))

                r, s = (pw / ph) / (w / h), area(pw, ph) / area(w * scale, h * scale)
                penalty = np.exp(-(max(r, 1 / r) * max(s, 1 / s) - 1) * penalty_k)
                value = penalty * score[row, column] * (1 - window) + cosine[row] * cosine[column] * window
                if value > best:
                    best = value
                    at = ((x0 + x1) / 2, (y0 + y1) / 2, pw, ph, penalty * score[row, column] * rate)
        x, y, pw, ph, blend = at
        self.centre = self.centre + (np.array([x, y]) - 151) / scale
        self.size = (1 - blend) * self.size + blend * np.array([pw, ph]) / scale
        height, width = shape[:2]
        self.centre = np.clip(self.centre + 0.5, 0, [width, height]) - 0.5
        self.size = np.clip(self.size, 10, [width, height])
        return np.array([*(self.centre - (self.size - 1) / 2), *self.size])


@pytest.mark.parametrize("benchmark", ["otb100", "vot2018"])
def test_crops_and_boxes_are_those_of_the_published_loop(benchmark):
    rng = np.random.default_rng(1)
    frames = cv2.GaussianBlur(rng.integers(0, 256, (6, 180, 240, 3), np.uint8).reshape(-1, 240, 3), (9, 9), 3)
    frames = frames.reshape(6, 180, 240, 3)
    box = np.array([150.0, 60, 37, 22])
    network, published = Random(), Published(frames[0], box)
    tracker = Siamese(network, SIDES, given(benchmark))
    window, penalty, rate = PUBLISHED[benchmark]
    tracker.start(frames[0], box)
    expected = [published.crop(frames[0], 127)]
    for frame in frames[1:]:
        expected.append(published.crop(frame, 303))
        found = tracker.follow(frame)
        wanted = published.step(*network.answers[-1], frame.shape, window, penalty, rate)
        np.testing.assert_allclose(found, wanted, atol=1e-9)
    for seen, crop in zip(network.seen, expected, strict=True):
        np.testing.assert_allclose(seen[0].transpose(1, 2, 0).astype(int) + 128, crop, atol=1)
        assert (seen[0].transpose(1, 2, 0).astype(int) + 128 == crop).mean() > 0.99
