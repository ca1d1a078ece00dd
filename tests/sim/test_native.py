"""Compiled kernels: kept on disk where that can be, said once where it cannot; and sums that follow the spikes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from netx import LIF, SPIKES, Conv2d, Dense, Input, Layer, Network, NetworkError, Range, Recurrent, Shape
from sim import engine
from sim.kernels import ByRate, as_convolution, choose, exact_arithmetic, native

needs_numba = pytest.mark.skipif(not native.available(), reason="numba is not installed")
_PACKAGES = ("netx", "sim")

RUN = """
import numpy as np
from netx import LIF, Dense, Input, Layer, Network
from sim import engine
network = Network((Input("x", (3, 1, 1)),), (Layer("a", ("x",), Dense([[5, 6, 7]]), LIF(9, voltage_decay=0)),), ("a",))
print(engine.run(network, {"x": np.ones((4, 3, 1, 1), int)}).spikes["a"].ravel().tolist())
"""


@pytest.fixture
def copy(tmp_path):
    """The packages in a folder of their own, and what runs RUN on them: its answer and what it said."""
    root = Path(engine.__file__).resolve().parents[1]
    for package in _PACKAGES:
        shutil.copytree(root / package, tmp_path / "code" / package, ignore=shutil.ignore_patterns("__pycache__"))
    cache = tmp_path / "cache"
    cache.mkdir()

    def run(**variables: str) -> tuple[str, str]:
        code = tmp_path / "code"
        done = subprocess.run(
            [sys.executable, "-c", RUN],
            capture_output=True,
            text=True,
            cwd=code,
            env=os.environ | {"PYTHONPATH": str(code), "NUMBA_CACHE_DIR": str(cache)} | variables,
            check=False,
            timeout=280,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip(), done.stderr

    return run, cache


@needs_numba
def test_a_second_process_does_not_compile_again_and_a_broken_cache_is_said_once(copy):
    run, cache = copy
    answer, said = run()
    assert answer == "[1, 1, 1, 1]"
    assert said.count("compiling kernels for this machine") == 1
    assert run() == (answer, "")
    for file in cache.rglob("*.nb?"):
        file.write_bytes(b"not a cache")
    answer, said = run()
    assert answer == "[1, 1, 1, 1]"
    assert said.count("compiled kernels cannot be kept on disk") == 1


@needs_numba
def test_a_cache_that_cannot_be_written_is_said_once_and_the_run_goes_on(copy, tmp_path):
    run, _ = copy
    blocked = tmp_path / "a file"
    blocked.write_text("")
    shutil.copy(blocked, tmp_path / "code" / "sim" / "kernels" / "__pycache__")
    places = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR"), str(blocked / "cache"))
    answer, said = run(**places)
    assert answer == "[1, 1, 1, 1]"
    assert said.count("compiled kernels cannot be kept on disk") == 1


def counted(rate, frames=8):
    random = np.random.default_rng(0)
    return torch.from_numpy((random.random((frames, 16, 40, 40)) < rate).astype(np.uint8))


@needs_numba
def test_the_choice_follows_the_rate_may_change_and_says_why():
    weight = np.random.default_rng(1).integers(-128, 128, (24, 16, 3, 3)) * 2
    sums = as_convolution(Conv2d(weight), Shape(16, 40, 40), SPIKES, batch=8)
    first, kernel = choose("a", sums)
    assert isinstance(kernel, ByRate)
    assert "events while under" in first.reason
    kernel._below = 0.1
    expected = torch.nn.functional.conv2d(counted(0.05).double(), torch.from_numpy(weight).double())
    with exact_arithmetic():
        assert torch.equal(kernel(counted(0.05)).double(), expected)
        assert kernel.choice.type == "events"
        share = f"{counted(0.05).double().mean():.1%}"
        assert f"{share} of its inputs were active, under the 10.0%" in kernel.choice.reason
        kernel(counted(0.3))
        assert kernel.choice.type == first.type
        share = f"{counted(0.3).double().mean():.1%}"
        assert f"{share} of its inputs were active, not under the 10.0%" in kernel.choice.reason


def test_without_numba_events_are_refused_with_the_reason(monkeypatch):
    monkeypatch.setattr(native, "available", lambda: False)
    sums = as_convolution(Dense(np.ones((2, 2))), Shape(2, 1, 1), SPIKES)
    with pytest.raises(NetworkError, match="layer 'a': numba is not installed"):
        choose("a", sums, forced="events")
    assert choose("a", sums)[0].type == "float32"


@needs_numba
def test_messages_of_32_bits_are_summed_in_64(direct_sums):
    random = np.random.default_rng(2)
    layer = Conv2d(random.integers(-256, 256, (4, 3, 2, 3)), (2, 1), (1, 2), (1, 2))
    values = random.integers(-(1 << 31), 1 << 31, (3, 6, 7, 9)) * (random.random((3, 6, 7, 9)) < 0.5)
    layer = Conv2d(layer.weight, layer.stride, layer.padding, layer.dilation, 2)
    sums = as_convolution(layer, Shape(6, 7, 9), Range(-(1 << 31), (1 << 31) - 1))
    _, kernel = choose("a", sums, forced="events")
    got = kernel(torch.from_numpy(values.astype(np.int32))).numpy()
    expected = direct_sums(values, layer.weight, layer.stride, layer.padding, layer.dilation, 2)
    np.testing.assert_array_equal(got, expected)
    assert np.abs(got).max() > 1 << 35


@needs_numba
@pytest.mark.parametrize(("one_more", "dtype"), [(0, torch.int16), (2, torch.int32)])
def test_spikes_are_summed_in_16_bits_up_to_their_largest_sum(direct_sums, one_more, dtype):
    # Columns for every width of vectors that the kernel has, and one for the rest; 72 inputs are more than one word.
    weight = np.random.default_rng(3).integers(-64, 64, (64 + 16 + 3, 72, 2, 2)) * 2
    flat = weight.reshape(len(weight), -1)
    flat[[0, -1]] = 0
    flat[0, :129], flat[0, 129] = 254, one_more
    flat[-1, -129:] = -254
    sums = as_convolution(Conv2d(weight), Shape(72, 5, 6), SPIKES)
    assert sums.bound == 32766 + one_more
    values = np.concatenate([np.ones((1, 72, 5, 6)), np.random.default_rng(4).random((2, 72, 5, 6)) < 0.1])
    _, kernel = choose("a", sums, forced="events")
    got = kernel(torch.from_numpy(values.astype(np.uint8)))
    assert got.dtype == dtype
    expected = direct_sums(values.astype(int), weight, (1, 1), (0, 0), (1, 1), 1)
    np.testing.assert_array_equal(got, expected)
    # One more or less than the largest sums, and beyond what 16 bits say.
    offset = np.resize([-32766, -32765, 32766, 32767, 40000, -40000, 1 << 40, -(1 << 40), 0], len(weight))
    _, fire = choose("a", sums, offset=offset, spikes=True, forced="events")
    np.testing.assert_array_equal(fire(torch.from_numpy(values.astype(np.uint8))), expected + offset[:, None, None] > 0)
    assert (int(got.max()), int(got.min())) == (32766 + one_more, -32766)


def test_a_network_is_compiled_once_for_runs_of_the_same_kind(monkeypatch):
    dense = Recurrent(Dense(np.ones((4, 3))), Dense(np.ones((4, 4))))
    network = Network((Input("x", (3, 1, 1)),), (Layer("a", ("x",), dense, LIF(2)),), ("a",))
    frames = {"x": np.ones((5, 3, 1, 1), int)}
    first = engine.run(network, frames)
    monkeypatch.setattr("sim.layers.compile_layer", None)
    monkeypatch.setattr("sim.compiled.compile_layer", None)
    again = engine.run(network, frames)
    np.testing.assert_array_equal(first.spikes["a"], again.spikes["a"])
    assert [choice.layer for choice in engine.choices(network)] == ["a", "a"]
