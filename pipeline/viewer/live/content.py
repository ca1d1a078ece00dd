"""What the page asks for while it follows a run: its state, pictures of spikes and chips, its report."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from netx.errors import MonospikeError
from pipeline.report.template import filled
from pipeline.training.logs import LOG
from pipeline.viewer.live.spikes import Spikes
from pipeline.viewer.losses import curves, logs
from pipeline.viewer.run_state import RunState, is_held, read_run

_FOLDER = Path(__file__).parent
_REPORTS = ("report.html", "search.html")
_CHIPS = "profile/planning-{}.svg"
_WATCHED = ("*", "stages/*", "verify/*", "profile/*", "simulate/*", "*/" + LOG)
"""Of the run's files, those that anything on the page is made from."""

STRICT = (
    "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What the page may load: this server's files. A content security policy (W3C, Content Security Policy Level 3)."""

SEALED = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""What files of the run may load: nothing; no script in them runs."""


@dataclass(frozen=True)
class Answer:
    """What is sent: a body of some type, under a policy."""

    body: bytes
    type: str
    policy: str = SEALED


@dataclass
class Content:
    """What there is to see of the run in ``folder``."""

    folder: Path
    _spikes: Spikes = field(init=False)
    _last: tuple[Any, bytes] = (None, b"")

    def __post_init__(self) -> None:
        self._spikes = Spikes(self.folder)

    def answer(self, address: str) -> Answer | None:
        """What stands at ``address``, a path with a query; None where nothing does."""
        parts = urlsplit(address)
        kind, _, rest = parts.path.lstrip("/").partition("/")
        if kind in _REPORTS and not rest:
            return self._file(kind, "text/html; charset=utf-8")
        if kind == "chip":
            return self._file(_CHIPS.format(rest), "image/svg+xml") if rest in self._chips() else None
        if rest:
            return None
        if kind == "":
            return Answer(self._page().encode(), "text/html; charset=utf-8", STRICT)
        if kind == "live.js":
            return Answer((_FOLDER / kind).read_bytes(), "text/javascript; charset=utf-8")
        if kind == "state.json":
            return Answer(self._state_text(), "application/json")
        if kind == "spikes.png":
            return self._picture(parse_qs(parts.query))
        return None

    def _state_text(self) -> bytes:
        """``state`` as JSON; made anew only when a file has changed, as the page asks every second."""
        stamp = (is_held(self.folder), *_stamps(self.folder))
        if self._last[0] != stamp:
            self._last = stamp, json.dumps(self.state()).encode()
        return self._last[1]

    def state(self) -> dict[str, Any]:
        """JSON values: the run's, its losses by training and name, its layers that spike, and names of its chips."""
        try:
            run = read_run(self.folder)
        except MonospikeError as error:  # it has gone since
            return {"problem": " ".join(str(error).split())}
        return {
            **run.as_json(),
            "losses": {name: curves(log) for name, log in logs(self.folder).items()},
            "targets": self._spikes.layers(),
            "chips": self._chips(),
            "reports": [name for name in _REPORTS if (self.folder / name).is_file()],
        }

    def _page(self) -> str:
        run: RunState = read_run(self.folder)
        return filled(_FOLDER, {}, {"name": run.name, "kind": run.kind.value, "folder": str(self.folder)})

    def _chips(self) -> list[str]:
        before, after = _CHIPS.split("{}")
        found = (path.relative_to(self.folder).as_posix() for path in self.folder.glob(f"{before}*{after}"))
        return sorted(name.removeprefix(before).removesuffix(after) for name in found)

    def _file(self, name: str, kind: str) -> Answer | None:
        path = self.folder / name
        return Answer(path.read_bytes(), kind) if path.is_file() else None

    def _picture(self, query: dict[str, list[str]]) -> Answer | None:
        target, layer, frame = (query.get(key, [""])[0] for key in ("target", "layer", "frame"))
        found = self._spikes.picture(target, layer, int(frame)) if frame.isdecimal() and len(frame) < 9 else None
        return None if found is None else Answer(found, "image/png")


def _stamps(folder: Path) -> list[tuple[str, int, int]]:
    """Names, sizes and times of change of the files that are watched; one that goes meanwhile is left out."""
    found = []
    for path in sorted({path for pattern in _WATCHED for path in folder.glob(pattern)}):
        with suppress(OSError):
            status = path.stat()
            found.append((str(path), status.st_mtime_ns, status.st_size))
    return found
