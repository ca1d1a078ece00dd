"""What one engine did with some frames: the common ground on which engines are compared."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from netx.errors import FormatError
from netx.files import write_whole


@dataclass(frozen=True)
class Recording:
    """Every spike and every membrane voltage of one run, one frame a time step.

    engine: who ran it, such as ``engine``, ``lava``, ``norse``, ``slayer``.
    spikes: for each spiking layer 0 or 1, uint8, shape (frame, channel, height, width).
    membranes: for each layer with neurons the membrane voltage before any reset, in weight units (activation plus
        bias), int32, same shape. For an Accumulator it is the read-out itself.
    """

    engine: str
    spikes: Mapping[str, npt.NDArray[np.uint8]]
    membranes: Mapping[str, npt.NDArray[np.int32]]

    @property
    def frames(self) -> int:
        """Number of frames."""
        return len(next(iter(self.membranes.values())))

    def first(self, frames: int) -> Recording:
        """The recording of the first ``frames`` frames."""
        return Recording(
            self.engine,
            {name: value[:frames] for name, value in self.spikes.items()},
            {name: value[:frames] for name, value in self.membranes.items()},
        )

    def save(self, path: Path) -> None:
        """Write the recording as a compressed npz; the file appears whole or not at all."""
        arrays: dict[str, npt.NDArray] = {f"spikes/{name}": np.packbits(value) for name, value in self.spikes.items()}
        arrays |= {f"membranes/{name}": value for name, value in self.membranes.items()}
        with write_whole(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, engine=np.array(self.engine), **arrays)

    @staticmethod
    def load(path: Path) -> Recording:
        """Read what ``save`` wrote. Raises FormatError when the file is not that."""
        try:
            with np.load(path, allow_pickle=False) as file:
                membranes = {key.removeprefix("membranes/"): file[key] for key in file if key.startswith("membranes/")}
                spikes = {}
                for key in file:
                    if key.startswith("spikes/"):
                        name = key.removeprefix("spikes/")
                        shape = membranes[name].shape
                        spikes[name] = np.unpackbits(file[key], count=int(np.prod(shape))).reshape(shape)
                return Recording(str(file["engine"]), spikes, membranes)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise FormatError(f"{path}: is not a recording ({error})") from None
