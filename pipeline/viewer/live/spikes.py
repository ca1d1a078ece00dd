"""Spikes of a run's networks, layer by layer and frame by frame, as the exact engine recorded them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from netx.errors import MonospikeError
from pipeline.deploy.layout import recording_file
from pipeline.report.pictures import MAX_CHANNELS, png, spike_tiles
from sim.recording import Recording

_ENGINE = "engine"


@dataclass
class Spikes:
    """What was recorded in a run's folder. A file is read when it is first asked for, and again when it has changed."""

    folder: Path
    _read: dict[str, tuple[tuple[int, int], dict[str, npt.NDArray[np.uint8]]]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def layers(self) -> list[dict[str, Any]]:
        """JSON values: every target's layers that spike, each with its shape and the spikes of all neurons by frame;
        of a target that cannot be read, why."""
        found = []
        for target in self._targets():
            try:
                layers = [
                    {"name": name, "shape": list(spikes.shape[1:]), "spikes": _by_frame(spikes)}
                    for name, spikes in self._spikes(target).items()
                ]
                found.append({"target": target, "layers": layers})
            except (MonospikeError, OSError) as error:
                found.append({"target": target, "layers": [], "problem": " ".join(str(error).split())})
        return found

    def picture(self, target: str, layer: str, frame: int) -> bytes | None:
        """A layer's spikes on a frame as a PNG file, at most MAX_CHANNELS channels of it; None where there is no such
        thing. Raises FormatError where the recording is damaged."""
        if target not in self._targets():
            return None
        spikes = self._spikes(target).get(layer)
        if spikes is None or not 0 <= frame < len(spikes):
            return None
        return png(spike_tiles(spikes[frame][:MAX_CHANNELS]))

    def _targets(self) -> list[str]:
        before, after = recording_file(_ENGINE, "*").split("*")
        names = (path.relative_to(self.folder).as_posix() for path in self.folder.glob(f"{before}*{after}"))
        return sorted((name.removeprefix(before).removesuffix(after) for name in names), reverse=True)

    def _spikes(self, target: str) -> dict[str, npt.NDArray[np.uint8]]:
        path = self.folder / recording_file(_ENGINE, target)
        stamp = (path.stat().st_mtime_ns, path.stat().st_size)
        with self._lock:
            if target not in self._read or self._read[target][0] != stamp:
                # Without the membranes, which take four times the room.
                self._read[target] = stamp, dict(Recording.load(path).spikes)
            return self._read[target][1]


def _by_frame(spikes: npt.NDArray[np.uint8]) -> list[int]:
    return [int(count) for count in np.count_nonzero(spikes.reshape(len(spikes), -1), axis=1)]
