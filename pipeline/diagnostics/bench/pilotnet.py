"""PilotNet-LIF, which lava-dl's wheel carries, for 16 steps: the engine against stock Lava."""

from __future__ import annotations

import statistics
import sysconfig
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from netx import LIF, Conv2d, Dense, Input, Layer, MonospikeError, Network, Range
from netx.net_file import read_net
from netx.npz import read_npz
from pipeline.diagnostics.bench.measure import Measure, seconds
from sim import engine, lava

_STEPS = 16
_WHEEL = Path("tests", "lava", "lib", "dl", "netx", "gts", "pilotnet_lif")
"""Where lava-dl 0.6.0 installs its recordings, below site-packages."""
_TIMEOUT = 600.0


def pilotnet_against_lava(runs: int) -> Measure:
    """(d) PilotNet-LIF on its own image, 16 steps, in Lava's stock processes and in the engine."""
    network, frames = _network_and_spikes(Path(sysconfig.get_paths()["purelib"]) / _WHEEL)
    runner = engine.compile(network, batch=_STEPS)
    arrivals: list[float] = []
    recording = lava.run(
        network,
        frames,
        timeout=_TIMEOUT,
        progress=lambda done, _: arrivals.append(time.perf_counter()) if done else None,
    )
    ours_spikes = runner.run(frames).spikes
    for name in network.outputs:
        if not np.array_equal(ours_spikes[name], recording.spikes[name]):
            raise MonospikeError(f"bench d: layer {name!r} spikes otherwise in Lava: nothing to compare")
    ours = statistics.median(seconds(lambda: runner.run(frames)) for _ in range(runs))
    theirs = _STEPS * (arrivals[-1] - arrivals[0]) / (len(arrivals) - 1)
    note = (
        f"{_STEPS} steps, from the encoder's spikes on, spikes of all layers the same; without biases, which Lava adds "
        "before the first frame has come; theirs: steps once its pipeline is full, every layer a process"
    )
    return Measure(theirs / ours, ours, theirs, len(arrivals) - 1, "at least 400", note)


def _network_and_spikes(folder: Path) -> tuple[Network, Mapping[str, npt.NDArray[np.uint8]]]:
    """All layers behind the encoder, each an output, and what the encoder sends for the image."""
    if not folder.is_dir():
        raise MonospikeError(f"{folder}: there is no PilotNet; it comes with `pip install lava-dl==0.6.0`")
    whole = read_net(folder / "network.net").with_reset(_STEPS)
    image = read_npz(folder / "image.npy")["image"].transpose(2, 1, 0).astype(np.int32)
    pixels = Input("input", whole.inputs[0].shape, Range(int(image.min()), int(image.max())))
    encoder = Network((pixels,), whole.layers[:1], ("input0",))
    held = np.broadcast_to(image, (_STEPS, *image.shape))
    spikes = engine.compile(encoder, batch=_STEPS).run({"input": held}).spikes
    layers = tuple(_without_bias_and_reset(layer) for layer in whole.layers[1:])
    outputs = tuple(layer.name for layer in layers if isinstance(layer.synapse, (Conv2d, Dense)))
    return Network((Input("input0", whole.shape("input0")),), layers, outputs), spikes


def _without_bias_and_reset(layer: Layer) -> Layer:
    """The last layer of the file never forgets; it does so here as the others do, so that head-room can be proven."""
    if not isinstance(layer.neuron, LIF):
        return layer
    decay = layer.neuron.voltage_decay or 1024
    return replace(
        layer, neuron=replace(layer.neuron, bias=np.empty(0, np.int32), reset_interval=None, voltage_decay=decay)
    )
