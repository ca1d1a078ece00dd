"""Transposed convolutions and unpooling as lava-dl's own blocks export them: read, and with SLAYER's own spikes."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from netx import FormatError, Shape, Upsample
from netx.net_file import read_net
from sim.engine import run

EXPORT = """
import sys
import h5py, numpy as np, torch
import lava.lib.dl.slayer as slayer
torch.manual_seed(3)
neuron = {"threshold": 20.3 / 64, "current_decay": 1.0, "voltage_decay": 1.0}
block = slayer.block.cuba
def no_delay(kind, *arguments, **options):
    scale = 1 if kind is block.Unpool else 8
    return kind(neuron, *arguments, weight_scale=scale, delay=False, delay_shift=False, **options)
blocks = torch.nn.ModuleList([
    no_delay(block.Conv, 2, 4, 3, padding=1),
    no_delay(block.ConvT, 4, 6, (3, 2), stride=(2, 3), padding=(1, 0), groups=2),
    no_delay(block.Unpool, 2),
    no_delay(block.ConvT, 6, 3, 3, dilation=2, padding=1),
])
frames = (torch.rand(5, 2, 5, 4, 1) < .4).float()
seen, values = {}, frames
for index, one in enumerate(blocks):
    values = one(values)
    seen[str(index)] = values[..., 0].detach().numpy().astype(np.uint8)
with h5py.File(sys.argv[1] + "/unet.net", "w") as file:
    for index, one in enumerate(blocks):
        one.export_hdf5(file.create_group(f"layer/{index}"))
np.savez(sys.argv[1] + "/seen.npz", frames=frames[..., 0].numpy().astype(np.uint8), **seen)
"""


@pytest.mark.lava
def test_what_lava_dl_exports_is_read_with_slayers_own_spikes(tmp_path: Path) -> None:
    command = [sys.executable, "-c", EXPORT, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    network = read_net(tmp_path / "unet.net", Shape(2, 5, 4))
    with np.load(tmp_path / "seen.npz") as seen:
        recording = run(network, {network.inputs[0].name: seen["frames"]})
        for index, name in enumerate(("conv0", "convT1", "unpool2", "convT3")):
            expected = seen[str(index)]
            assert np.array_equal(recording.spikes[name], expected), name
            assert 0 < expected.mean() < 1, name
    assert network.layer("unpool2_input").synapse == Upsample(2)  # type: ignore[arg-type]


def unpool(**changes: Any) -> dict[str, Any]:
    neuron = {"type": "CUBA", "iDecay": 4096, "vDecay": 4096, "vThMant": 3, "refDelay": 1, "gradedSpike": False}
    layer = {"type": "unpool", "shape": [2, 4, 6], "kernelSize": [2, 3], "stride": [2, 3], "padding": 0, "dilation": 1}
    return {**layer, "weight": np.full((1, 1, 2, 3), 4), "neuron": neuron, **changes}


def written(path: Path, layer: dict[str, Any]) -> Path:
    with h5py.File(path, "w") as file:
        for index, one in enumerate(({"type": "input", "shape": [2, 2, 2]}, layer)):
            group = file.create_group(f"layer/{index}")
            for key, value in one.items():
                if isinstance(value, dict):
                    for name, inner in value.items():
                        group[f"{key}/{name}"] = np.array([inner], "S10") if isinstance(inner, str) else inner
                else:
                    group[key] = np.array([value], "S10") if isinstance(value, str) else value
    return path


def test_an_unpool_of_unequal_weights_weights_each_place_of_its_window(tmp_path: Path) -> None:
    network = read_net(written(tmp_path / "a.net", unpool(weight=np.array([[[[1, 2, 3], [4, 5, 6]]]]))))
    frame = np.array([[[1, 0], [0, 1]], [[0, 0], [1, 0]]])[None]
    [seen] = run(network, {network.inputs[0].name: frame}).membranes["unpool1"]
    assert seen[0].tolist() == [[1, 2, 3, 0, 0, 0], [4, 5, 6, 0, 0, 0], [0, 0, 0, 1, 2, 3], [0, 0, 0, 4, 5, 6]]
    assert seen[1].tolist() == [[0] * 6, [0] * 6, [1, 2, 3, 0, 0, 0], [4, 5, 6, 0, 0, 0]]


CONVT = {"type": "convT", "inChannels": 2, "outChannels": 2, "groups": 1, "weight": np.ones((2, 2, 2, 3))}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stride": [2, 2]}, "only windows that tile the image have a meaning"),
        ({"weight": np.ones((1, 1, 2, 2))}, "weight"),
        ({"shape": [2, 4, 5]}, "shape"),
        ({"delay": [1]}, "axonal delays of a unpool"),
        ({**CONVT, "inChannels": 3}, "is 3 to 2 in 1 groups, but its input has 2 channels"),
        ({**CONVT, "padding": 3}, "beyond the reach"),
        ({**CONVT, "weight": np.ones((2, 1, 2, 3))}, "weight"),
    ],
)
def test_an_up_sampling_without_a_meaning_is_refused_with_its_place(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(FormatError, match=rf"wrong\.net: layer/1.*{message}"):
        read_net(written(tmp_path / "wrong.net", unpool(**changes)))
