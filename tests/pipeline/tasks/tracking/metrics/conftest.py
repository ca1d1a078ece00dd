"""``monospike evaluate`` as its user runs it, and sequences small enough to reckon their scores by hand."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from pipeline.cli import app as cli


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


def _write_sequence(folder: Path, boxes: list[list[float]]) -> None:
    """A square of another colour moves over a dark picture."""
    (folder / "img").mkdir(parents=True)
    for number, (x, y, width, height) in enumerate(boxes, start=1):
        picture = Image.new("RGB", (96, 72), (20, 40, 60))
        picture.paste((230, 120, 60), (round(x), round(y), round(x + width), round(y + height)))
        picture.save(folder / "img" / f"{number:04}.png")
    lines = [",".join(map(str, box)) for box in boxes]
    (folder / "groundtruth_rect.txt").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="session")
def write_sequence() -> Callable[[Path, list[list[float]]], None]:
    return _write_sequence


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two sequences; after the first frame the object has moved by half its width in one, and not in the other."""
    _write_sequence(tmp_path / "data" / "Moved", [[20, 20, 24, 16], [32, 20, 24, 16], [32, 20, 24, 16]])
    _write_sequence(tmp_path / "data" / "Still", [[30, 30, 24, 16]] * 4)
    return tmp_path / "data"
