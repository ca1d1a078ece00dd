"""A detector's answers to a data set, kept as they come, so that a stopped evaluation goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from netx.files import append_line, write_whole
from pipeline.core.provenance import kept_beside
from pipeline.datasets.detection import LabelledPicture
from pipeline.tasks.detection.predictions import Detections


class AnswerFile:
    """A line of JSON for each picture that was answered; what was being written when the program ended is left out."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known = {line["of"]: line for line in _whole_lines(path)}

    def get(self, picture: LabelledPicture) -> tuple[Detections, float] | None:
        """The answer to a picture, and the seconds that it took; None where there is none, or the file has changed."""
        line = self._known.get(_stamp(picture))
        if line is None:
            return None
        boxes, scores = np.array(line["boxes"], dtype=np.float64), np.array(line["scores"], dtype=np.float64)
        classes = np.array(line["classes"], dtype=np.int64)
        return Detections(boxes.reshape(-1, 4), scores, classes), float(line["seconds"])

    def add(self, picture: LabelledPicture, answer: Detections, seconds: float) -> None:
        """Write an answer down at once."""
        line = {
            "of": _stamp(picture),
            "seconds": seconds,
            "boxes": answer.boxes.tolist(),
            "scores": answer.scores.tolist(),
            "classes": answer.classes.tolist(),
        }
        append_line(self.path, json.dumps(line))


def answers_beside(out: Path, model: str, engine: str, what: Any) -> AnswerFile:
    """The answers beside the result file ``out`` of one model and engine. what: as of ``kept_beside``."""
    folder = kept_beside(out, "answers", model, engine, what)
    return AnswerFile(folder.with_name(f"{folder.name}.jsonl"))


def _stamp(picture: LabelledPicture) -> str:
    about = picture.file.stat()
    return json.dumps([str(picture.file.resolve()), about.st_size, about.st_mtime_ns])


def _whole_lines(path: Path) -> list[dict[str, Any]]:
    """The lines that are whole; where one is not, the file is written anew without it."""
    if not path.is_file():
        return []
    lines, whole = path.read_text(encoding="utf-8", errors="replace").splitlines(), []
    for line in lines:
        try:
            value = json.loads(line)
            assert {"of", "seconds", "boxes", "scores", "classes"} <= set(value)
        except (ValueError, TypeError, AssertionError):
            continue
        whole.append(value)
    if len(whole) < len(lines):
        with write_whole(path) as temporary:
            temporary.write_text("".join(json.dumps(line) + "\n" for line in whole), encoding="utf-8")
    return whole
