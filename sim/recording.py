"""What one engine did with some frames: the common ground on which engines are compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from netx.errors import FormatError
from netx.files import write_whole
from netx.npz import npz_bytes, read_npz


def unvaried(spikes: int, values: int) -> str | None:
    """Why a layer's spikes would be the same whatever its neurons read; None where they differ somewhere.

    spikes: neurons and frames with a spike. values: all neurons and frames, at least one.
    """
    if spikes == 0:
        return "no neuron spikes in any frame"
    return "every neuron spikes in every frame" if spikes == values else None


@dataclass(frozen=True)
class Recording:
    """Every spike and every membrane voltage of one run, one frame a time step.

    engine: who ran it, such as ``engine``, ``lava``, ``norse``, ``slayer``.
    spikes: for each spiking layer 0 or 1, uint8, shape (frame, channel, height, width).
    membranes: for each layer with neurons the membrane voltage before any reset, in weight units (activation plus
        bias), int32, same shape. For an Accumulator it is the read-out itself, for Sigma and SigmaDelta the sum of all
        activations so far, for Delta the scaled input.
    messages: for each sigma-delta layer what it sends, int32, same shape.
    stand_ins: layers whose synapse a faster model of ours computed in the engine, in place of its own.
    """

    engine: str
    spikes: Mapping[str, npt.NDArray[np.uint8]]
    membranes: Mapping[str, npt.NDArray[np.int32]]
    messages: Mapping[str, npt.NDArray[np.int32]] = field(default_factory=dict)
    stand_ins: tuple[str, ...] = ()

    @property
    def frames(self) -> int:
        """Number of frames."""
        arrays: list[npt.NDArray] = [*self.membranes.values(), *self.spikes.values()]
        return len(arrays[0])

    def unvaried(self) -> dict[str, str]:
        """Layers whose spikes say nothing of what they read, and why: they agree with those of any other such layer."""
        found = {name: unvaried(np.count_nonzero(spikes), spikes.size) for name, spikes in self.spikes.items()}
        return {name: why for name, why in found.items() if why is not None}

    def first(self, frames: int) -> Recording:
        """The recording of the first ``frames`` frames."""
        return Recording(
            self.engine,
            {name: value[:frames] for name, value in self.spikes.items()},
            {name: value[:frames] for name, value in self.membranes.items()},
            {name: value[:frames] for name, value in self.messages.items()},
            self.stand_ins,
        )

    @staticmethod
    def joined(parts: Sequence[Recording]) -> Recording:
        """The recordings of consecutive frames as one; at least one, all of the same engine and network."""

        def join(kind: str) -> dict[str, npt.NDArray]:
            return {
                name: np.concatenate([getattr(part, kind)[name] for part in parts]) for name in getattr(parts[0], kind)
            }

        return Recording(
            parts[0].engine, join("spikes"), join("membranes"), join("messages"), stand_ins=parts[0].stand_ins
        )

    @staticmethod
    def beside(parts: Sequence[Recording]) -> Recording:
        """The recordings of networks that don't know each other as one; of the same engine and number of frames."""

        def all_of(kind: str) -> dict[str, npt.NDArray]:
            return {name: values for part in parts for name, values in getattr(part, kind).items()}

        stand_ins = tuple(name for part in parts for name in part.stand_ins)
        return Recording(parts[0].engine, all_of("spikes"), all_of("membranes"), all_of("messages"), stand_ins)

    def save(self, path: Path) -> None:
        """Write the recording as a compressed npz; the file appears whole or not at all."""
        arrays: dict[str, npt.NDArray] = {f"spikes/{name}": np.packbits(value) for name, value in self.spikes.items()}
        arrays |= {f"membranes/{name}": value for name, value in self.membranes.items()}
        arrays |= {f"messages/{name}": value for name, value in self.messages.items()}
        if self.stand_ins:
            arrays["stand_ins"] = np.array(self.stand_ins)
        with write_whole(path) as temporary:
            temporary.write_bytes(npz_bytes({"engine": np.array(self.engine), **arrays}, compressed=True))

    @staticmethod
    def load(path: Path) -> Recording:
        """Read what ``save`` wrote. Raises FormatError when the file is not that."""
        arrays = read_npz(path)
        try:
            membranes, messages = (
                {key.removeprefix(kind): values for key, values in arrays.items() if key.startswith(kind)}
                for kind in ("membranes/", "messages/")
            )
            spikes = {}
            for key, packed in arrays.items():
                if key.startswith("spikes/"):
                    name = key.removeprefix("spikes/")
                    shape = membranes[name].shape
                    spikes[name] = np.unpackbits(packed, count=int(np.prod(shape))).reshape(shape)
            stand_ins = tuple(map(str, arrays.get("stand_ins", ())))
            return Recording(str(arrays["engine"]), spikes, membranes, messages, stand_ins)
        except (ValueError, TypeError, KeyError) as error:
            raise FormatError(f"{path}: is not a recording ({error})") from None
