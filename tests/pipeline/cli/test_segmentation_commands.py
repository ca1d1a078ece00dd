"""``monospike segment`` and ``monospike evaluate`` of masks, with the model that never moves and one that follows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from moving_colours import Colours, scene, write_scene
from PIL import Image

from pipeline.datasets.label_masks import read_labels, write_labels


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in "ab":
        write_scene(tmp_path / "set" / name)
    return tmp_path / "set"


def test_scores_and_masks_are_written_and_what_is_bad_is_named(
    monospike: Callable[..., Any], root: Path, tmp_path: Path
) -> None:
    (root / "b" / "img" / "0003.png").unlink()
    words = ("evaluate", "masks", "--root", root, "--model", "still", "--engine", "integer", "--out", "scores.json")
    ended = monospike(*words, cwd=tmp_path)
    assert ended.returncode == 1, "one sequence could not be scored"
    got = json.loads((tmp_path / "scores.json").read_text())
    assert {"j_and_f", "j", "f", "recall", "decay", "fps", "sequences"} <= set(got)
    assert list(got["sequences"]) == ["a"]
    assert 0 < got["j"] < 1
    assert got["failed"]["b"].startswith("sequence 'b', frame 3: is missing in")
    assert "1 of 2 sequences could not be scored; see 'failed' in scores.json" in ended.stdout
    [kept] = (tmp_path / "scores-masks").iterdir()
    assert np.array_equal(read_labels(kept / "a" / "0005.png"), scene(0)[1])
    write_scene(root / "b")
    assert monospike(*words, cwd=tmp_path).returncode == 0


def test_a_model_is_opened_by_name(
    monospike: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, root: Path, tmp_path: Path
) -> None:
    """In DAVIS's layout both sequences are of one object in 2016, and of two in 2017."""
    monkeypatch.setattr("pipeline.cli.evaluate_segmentation.open_segmenter", lambda *_: Colours())
    davis = tmp_path / "davis"
    for name in "ab":
        for number in range(1, 7):
            for kind, inner in (("img", "JPEGImages"), ("mask", "Annotations")):
                target = davis / inner / "480p" / name / f"{number:05}.png"
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes((root / name / kind / f"{number:04}.png").read_bytes())
    for year in ("2016", "2017"):
        (davis / "ImageSets" / year).mkdir(parents=True)
        (davis / "ImageSets" / year / "val.txt").write_text("a\nb\n")
    counts = {}
    for name in ("davis16", "davis17"):
        words = ("evaluate", name, "--root", davis, "--model", "demo", "--out", f"{name}.json")
        assert monospike(*words, cwd=tmp_path).returncode == 0
        got = json.loads((tmp_path / f"{name}.json").read_text())
        counts[name] = [len(row["objects"]) for row in got["sequences"].values()], got["failed"]
    assert counts == {"davis16": ([1, 1], {}), "davis17": ([2, 2], {})}
    assert got["j_and_f"] == 1.0


def test_masks_and_an_overlay_are_written(monospike: Callable[..., Any], root: Path, tmp_path: Path) -> None:
    write_labels(tmp_path / "first.png", scene(0)[1])
    words = ("segment", root / "a", "--mask", "first.png", "--model", "still", "--out", "out")
    ended = monospike(*words, cwd=tmp_path)
    assert (ended.returncode, "frames: 6; masks are in out/masks" in ended.stdout) == (0, True)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.gif", "masks"]
    assert len(list((tmp_path / "out" / "masks").iterdir())) == 6


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["masks", "--model", "still"], "needs --root DIR, the videos with their masks, and --model NAME"),
        (["davis17", "--root", "."], "needs --root DIR"),
        (["davis17", "--root", ".", "--model", "still"], "ImageSets/2017/val.txt: is missing"),
        (["masks", "--root", ".", "--model", "demo"], "holds a model for tracking, which is no segmenter"),
        (["masks", "--root", ".", "--model", "still"], "holds no sequence with masks"),
        (["masks", "--root", ".", "--model", "still", "--engine", "fast"], "expected float or integer"),
        (["masks", "--root", ".", "--model", "still", "--starts", "3"], "evaluate masks takes --root, --model"),
        (["masks", "--root", ".", "--model", "still", "--annotations", "a"], "--annotations is for 'detection'"),
        (["folder", "--root", ".", "--model", "still"], "'masks'; 'folder' takes --tracker"),
    ],
)
def test_the_command_says_what_it_wants(
    monospike: Callable[..., Any], tmp_path: Path, words: list[str], complaint: str
) -> None:
    ended = monospike("evaluate", *words, "--out", "scores.json", cwd=tmp_path)
    assert (ended.returncode, list(tmp_path.iterdir())) == (2, [])
    assert complaint in ended.stderr


def test_a_first_mask_without_an_object_is_an_error(monospike: Callable[..., Any], root: Path, tmp_path: Path) -> None:
    Image.new("L", (64, 48)).save(tmp_path / "first.png")
    ended = monospike("segment", root / "a", "--mask", "first.png", "--model", "still", "--out", "out", cwd=tmp_path)
    assert (ended.returncode, (tmp_path / "out").exists()) == (2, False)
    assert "first.png: no pixel of the mask is of an object" in ended.stderr
