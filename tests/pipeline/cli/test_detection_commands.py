"""``monospike detect`` and ``monospike evaluate detection``, with a detector that finds what is white."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from pipeline.datasets.images import RGB
from pipeline.tasks.detection.predictions import NOTHING, Detections


class White:
    """Finds the bounds of all that is white: one object, or none."""

    classes = ("white",)

    def step(self, frame: RGB) -> Detections:
        x, y, width, height = cv2.boundingRect((frame.min(axis=2) > 127).astype(np.uint8))
        box = np.array([[x, y, x + width, y + height]], dtype=np.float64)
        return Detections(box, np.array([0.9]), np.array([0])) if width else NOTHING


@pytest.fixture
def white(monkeypatch: pytest.MonkeyPatch) -> None:
    """What any checkpoint is opened as."""
    for command in ("detect", "evaluate_detection"):
        monkeypatch.setattr(f"pipeline.cli.{command}.open_detector", lambda *_: White())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three pictures in YOLO's layout. The first shows one object; the second none, and its label is of a class that
    there is none of; the third is damaged."""
    folder = tmp_path / "set"
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    (folder / "classes.txt").write_text("white\n")
    shown = np.zeros((60, 80, 3), np.uint8)
    Image.fromarray(shown).save(folder / "images" / "b.png")
    shown[15:45, 20:60] = 255
    Image.fromarray(shown).save(folder / "images" / "a.png")
    content = (folder / "images" / "a.png").read_bytes()
    (folder / "images" / "c.png").write_bytes(content[: len(content) // 2])
    (folder / "labels" / "a.txt").write_text("0 .5 .5 .5 .5\n")
    (folder / "labels" / "b.txt").write_text("7 .5 .5 .5 .5\n")
    return folder


@pytest.mark.usefixtures("white")
def test_scores_and_detections_are_written_and_what_is_bad_is_named(
    monospike: Callable[..., Any], root: Path, tmp_path: Path
) -> None:
    words = ("evaluate", "detection", "--root", root, "--model", "demo", "--engine", "float", "--out", "scores.json")
    ended = monospike(*words, cwd=tmp_path)
    assert ended.returncode == 1, "one picture could not be read"
    got = json.loads((tmp_path / "scores.json").read_text())
    assert {"map", "map50", "map75", "per_class", "images", "fps"} <= set(got)
    assert (got["map50"], got["images"], list(got["per_class"])) == (pytest.approx(1.0), 2, ["white"])
    assert [Path(name).name for name in got["failed"]] == ["c.png"]
    [issue] = got["issues"]
    assert issue.endswith("labels/b.txt, line 1: there is no class 7 of 1, counted from 0")
    [found] = json.loads((tmp_path / "scores-detections.json").read_text())
    assert found == {"file_name": "a.png", "image_id": 1, "category_id": 1, "bbox": [20, 15, 40, 30], "score": 0.9}
    assert "labels/b.txt, line 1" in ended.stdout
    assert "1 of 3 pictures could not be answered; see 'failed' in scores.json" in ended.stdout
    (root / "images" / "c.png").unlink()
    assert monospike(*words, cwd=tmp_path).returncode == 0


@pytest.mark.usefixtures("white")
def test_several_sets_are_scored_as_one(monospike: Callable[..., Any], root: Path, tmp_path: Path) -> None:
    (root / "images" / "c.png").unlink()
    (root / "labels" / "b.txt").unlink()
    shutil.copytree(root, tmp_path / "other")
    (tmp_path / "other" / "labels" / "a.txt").write_text("0 .5 .5 .1 .1\n")  # a box that is not found
    both = ("--root", root, "--root", tmp_path / "other", "--model", "demo", "--out", "scores.json")
    assert monospike("evaluate", "detection", *both, cwd=tmp_path).returncode == 0
    got = json.loads((tmp_path / "scores.json").read_text())
    assert (got["images"], got["per_class"]["white"]["objects"]) == (4, 2)
    assert got["map50"] == pytest.approx(51 / 101), "the first of two equal scores is right: recall .5 at precision 1"
    refused = monospike("evaluate", "detection", *both, "--annotations", "a.json", cwd=tmp_path)
    assert refused.returncode == 2
    assert "--annotations: is of one data set" in refused.stderr
    twice = monospike("evaluate", "folder", "--root", root, "--root", root, "--out", "it.json", cwd=tmp_path)
    assert twice.returncode == 2
    assert "--root: 'folder' lies in one place" in twice.stderr


@pytest.mark.usefixtures("white")
def test_objects_are_drawn_and_written(monospike: Callable[..., Any], root: Path, tmp_path: Path) -> None:
    ended = monospike("detect", root / "images", "--model", "demo", "--out", "out", cwd=tmp_path)
    assert ended.returncode == 1
    assert "objects: 1, pictures: 2;" in ended.stdout
    assert "c.png: cannot be read as a picture" in ended.stdout
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "b.png", "detections.json"]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--model", "demo"], "needs --root DIR, the pictures with their boxes, and --model NAME"),
        (["--root", "."], "needs --root DIR"),
        (["--root", ".", "--model", "demo"], "holds a model for tracking, which is no detector"),
        (["--root", ".", "--model", "demo", "--starts", "3"], "evaluate detection takes --root, --model, --engine"),
    ],
)
def test_the_command_says_what_it_wants(
    monospike: Callable[..., Any], tmp_path: Path, words: list[str], complaint: str
) -> None:
    ended = monospike("evaluate", "detection", *words, "--out", "scores.json", cwd=tmp_path)
    assert (ended.returncode, list(tmp_path.iterdir())) == (2, [])
    assert complaint in ended.stderr


def test_a_tracker_detects_nothing(monospike: Callable[..., Any], tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    ended = monospike("detect", "a.png", "--model", "demo", "--out", "out", cwd=tmp_path)
    assert ended.returncode == 2
    assert "holds a model for tracking, which is no detector" in ended.stderr
    ended = monospike("evaluate", "folder", "--model", "demo", "--out", "scores.json", cwd=tmp_path)
    assert "--model, --annotations and --split are for 'detection', " in ended.stderr
    assert "; 'folder' takes --tracker" in ended.stderr
