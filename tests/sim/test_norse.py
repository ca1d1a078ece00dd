"""Stock norse, from the exported file alone, does what the exact engine does, bit for bit."""

import builtins
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pytest
from scipy.signal import correlate2d

from netx import (
    LIF,
    Accumulator,
    Concat,
    Conv2d,
    Correlation,
    Dense,
    Flatten,
    FormatError,
    Input,
    Layer,
    Network,
    NetworkError,
    Pool,
    Shape,
)
from netx.bundle import save
from sim import engine
from sim.norse import NorseError, run

pytest.importorskip("norse", reason="norse is not installed")


def even(random: np.random.Generator, *shape: int) -> npt.NDArray:
    return random.integers(-128, 128, shape) * 2


def frames_for(network: Network, random: np.random.Generator, count: int = 6) -> dict[str, npt.NDArray]:
    """Random frames for every input, the first all at the low end of their range, the second all at the high end."""
    frames = {}
    for source in network.inputs:
        values = random.integers(source.range.low, source.range.high + 1, (count, *source.shape))
        values[0], values[1] = source.range.low, source.range.high
        frames[source.name] = values
    return frames


def assert_same(network: Network, path: Path, frames: dict[str, npt.NDArray]) -> None:
    ours, theirs = engine.run(network, frames), run(path, frames)
    assert theirs.engine == "norse"
    assert list(theirs.membranes) == list(ours.membranes)
    assert list(theirs.spikes) == list(ours.spikes)
    for name, membrane in ours.membranes.items():
        assert theirs.membranes[name].dtype == np.int32
        assert np.array_equal(theirs.membranes[name], membrane), name
    for name, spikes in ours.spikes.items():
        assert theirs.spikes[name].dtype == np.uint8
        assert np.array_equal(theirs.spikes[name], spikes), name


def test_spikes_and_membranes_are_what_scipy_says(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    kernels, pixels = even(random, 3, 2, 3, 3), random.integers(0, 16, (4, 2, 7, 8))
    bias = np.array([40, -60, 0])
    layer = Layer("edges", ("pixels",), Conv2d(kernels), LIF(201, bias))
    save(Network((Input("pixels", Shape(2, 7, 8), (0, 15)),), (layer,), ("edges",)), tmp_path / "n.nir")
    recording = run(tmp_path / "n.nir", {"pixels": pixels})
    expected = np.zeros((4, 3, 5, 6), int)
    for frame, out, channel in np.ndindex(4, 3, 2):
        expected[frame, out] += correlate2d(pixels[frame, channel], kernels[out, channel], mode="valid")
    expected += bias[:, None, None]
    assert (recording.membranes["edges"] == expected).all()
    assert (recording.spikes["edges"] == (expected > 201)).all()
    assert 0.1 < recording.spikes["edges"].mean() < 0.9


@pytest.mark.parametrize("seed", range(4))
def test_random_chains_agree_with_the_engine(seed: int, tmp_path: Path) -> None:
    random = np.random.default_rng(seed)
    bias = random.integers(-99, 99, 8)
    network = Network(
        (Input("pixels", Shape(4, 9, 8), (-8, 7)),),
        (
            Layer("a", ("pixels",), Conv2d(even(random, 8, 2, 3, 5) // 4, (2, 1), (1, 2), groups=2), LIF(81)),
            Layer(
                "b",
                ("a",),
                Conv2d(even(random, 8, 1, 3, 3), padding=2, dilation=2, groups=8),
                LIF(3, bias),
            ),
            Layer("pool", ("b",), Pool(2, 1, weight=2), LIF(1)),
            Layer("flat", ("pool",), Flatten()),
            Layer("c", ("flat",), Dense(random.integers(-60, 60, (6, 224)), weight_exponent=1), LIF(-55)),
            Layer("score", ("c",), Dense(even(random, 3, 6)), Accumulator([9, 0, -700])),
        ),
        ("score",),
    )
    save(network, tmp_path / "n.nir")
    assert_same(network, tmp_path / "n.nir", frames_for(network, random))


def test_a_programmed_siamese_network_agrees_with_the_engine_part_by_part(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    kernels = even(random, 4, 1, 3, 3)
    network = Network(
        (Input("template", Shape(1, 8, 8), (0, 3)), Input("search", Shape(1, 14, 14), (0, 3))),
        (
            Layer("z", ("template",), Conv2d(kernels), LIF(81)),
            Layer("x", ("search",), Conv2d(kernels), LIF(81)),
            Layer("match", ("x", "z"), Correlation(2, 3), LIF(15, random.integers(-9, 9, 12) * 2)),
            Layer("score", ("match",), Conv2d(even(random, 2, 12, 1, 1)), Accumulator([4, 5])),
            Layer("box", ("match",), Conv2d(even(random, 4, 12, 1, 1)), LIF(3)),
            Layer("both", ("score", "box"), Concat()),
            Layer("flat", ("both",), Flatten()),
            Layer("last", ("flat",), Dense(random.integers(-3, 3, (3, 6 * 49))), LIF(3)),
        ),
        ("last", "score"),
    )
    frames = frames_for(network, random)
    template = engine.run(network.template_network(), {"template": frames["template"][2:3]}).spikes["z"][0]
    programmed = network.programmed({"z": template})
    save(programmed, tmp_path / "programmed", format="nir")
    assert_same(programmed, tmp_path / "programmed", {"search": frames["search"]})
    save(network, tmp_path / "siamese", format="nir")
    with pytest.raises(NetworkError, match="layer 'match' is a correlation"):
        run(tmp_path / "siamese", frames)


def test_a_threshold_is_never_reached_by_a_tie(tmp_path: Path) -> None:
    for threshold in (0, 4096, 131071, -131071):
        layer = Layer("y", ("x",), Conv2d([[[[1]]]]), LIF(threshold))
        save(Network((Input("x", Shape(1, 1, 1), (-131071, 131071)),), (layer,), ("y",)), tmp_path / "n.nir")
        values = [threshold, min(threshold + 1, 131071), max(threshold - 1, -131071)]
        spikes = run(tmp_path / "n.nir", {"x": np.reshape(values, (3, 1, 1, 1))}).spikes["y"]
        assert spikes.ravel().tolist() == [0, int(threshold < 131071), 0]


def test_sums_beyond_float32s_exact_integers_are_refused(tmp_path: Path) -> None:
    layer = Layer("y", ("x",), Conv2d(np.full((1, 258, 1, 1), 255)), LIF(1))
    save(Network((Input("x", Shape(258, 1, 1), (0, 256)),), (layer,), ("y",)), tmp_path / "n.nir")
    with pytest.raises(NorseError, match="layer 'y': sums may reach 16842240"):
        run(tmp_path / "n.nir", {"x": np.zeros((1, 258, 1, 1), int)})


def test_what_norse_cannot_run_is_refused_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = Layer("y", ("x",), Conv2d([[[[2]]]]), LIF(1))
    network = Network((Input("x", Shape(1, 2, 2)),), (layer,), ("y",))
    frames: dict[str, Any] = {"x": np.ones((1, 1, 2, 2), int)}
    save(network, tmp_path / "n.net")
    with pytest.raises(FormatError, match=r"n\.net: norse reads \.nir files only"):
        run(tmp_path / "n.net", frames)
    save(network, tmp_path / "n.nir")
    with pytest.raises(NetworkError, match="no frames were given for input 'x'"):
        run(tmp_path / "n.nir", {})
    with h5py.File(tmp_path / "n.nir", "r+") as file:
        file["node/nodes/synapse_y/weight"][0, 0, 0, 0] = np.nan
    with pytest.raises(FormatError, match="is nan"):
        run(tmp_path / "n.nir", frames)
    real = builtins.__import__

    def without_norse(name: str, *rest: Any, **named: Any) -> Any:
        if name.startswith("norse"):
            raise ImportError("No module named 'norse'")
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without_norse)
    with pytest.raises(NorseError, match="norse is not installed"):
        run(tmp_path / "n.nir", frames)
