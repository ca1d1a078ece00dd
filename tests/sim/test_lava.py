"""Lava's stock processes give the same bits as the engine, and cannot hurt. Lava only ever runs in child processes."""

import importlib.util
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
from scipy import ndimage
from scipy import signal as scipy_signal

import sim
from netx import (
    LIF,
    Accumulator,
    Concat,
    Conv2d,
    Dense,
    Flatten,
    FormatError,
    Input,
    Layer,
    Network,
    NetworkError,
    Pool,
    Range,
)
from netx.chain import chain_network, chains
from netx.net_file import write_net
from sim import engine, lava
from sim.lava import plan as lava_plan
from sim.lava import runner
from sim.lava.plan import message_bits
from sim.supervise import JOB_VARIABLE, Ending, job_folder

pytestmark = [pytest.mark.lava, pytest.mark.usefixtures("traces")]


def random_conv(rng, out, into, kernel, saturated=False, **options):
    """Even weights, as SLAYER trains them; saturated ones are -256 or 254."""
    shape = (out, into, *kernel)
    weight = rng.choice([-256, 254], shape) if saturated else rng.integers(-128, 128, shape) * 2
    return Conv2d(weight, **options)


def random_frames(rng, source, count):
    """Random frames within the input's range, after one of its lowest and one of its highest value."""
    frames = rng.integers(source.range.low, source.range.high + 1, (count, *source.shape))
    frames[0], frames[1] = source.range.low, source.range.high
    return frames


def assert_same(actual, expected):
    assert list(actual.spikes) == list(expected.spikes)
    assert list(actual.membranes) == list(expected.membranes)
    for name, spikes in expected.spikes.items():
        np.testing.assert_array_equal(actual.spikes[name], spikes, err_msg=f"spikes of {name}")
    for name, membranes in expected.membranes.items():
        np.testing.assert_array_equal(actual.membranes[name], membranes, err_msg=f"membranes of {name}")


def branching_network(rng):
    """Strides, padding, dilation, groups, biases, saturated weights, a branch and two read-outs."""
    return Network(
        (Input("image", (3, 17, 20)),),
        (
            Layer("a", ("image",), random_conv(rng, 8, 3, (3, 5), stride=(2, 1), padding=(1, 2)), LIF(101)),
            Layer(
                "b",
                ("a",),
                random_conv(rng, 6, 4, (3, 2), groups=2, dilation=(1, 2)),
                LIF(51, rng.integers(-99, 99, 6)),
            ),
            Layer(
                "c",
                ("b",),
                random_conv(rng, 4, 6, (1, 1), saturated=True),
                LIF(301, bias_exponent=5, bias=[6, -6, 0, 98]),
            ),
            Layer("near", ("b",), random_conv(rng, 2, 6, (2, 2)), Accumulator(np.array([300, -300]))),
            Layer("far", ("c",), random_conv(rng, 3, 4, (2, 3)), Accumulator()),
        ),
        ("near", "far", "c"),
    )


def small_network():
    rng = np.random.default_rng(3)
    layers = (
        Layer("a", ("image",), random_conv(rng, 4, 2, (3, 3)), LIF(31)),
        Layer("out", ("a",), random_conv(rng, 2, 4, (3, 3)), Accumulator()),
    )
    return Network((Input("image", (2, 9, 9)),), layers, ("out",))


@pytest.mark.parametrize("seed", [0, 1])
def test_a_branching_network_gives_the_same_bits_as_the_engine(seed):
    rng = np.random.default_rng(seed)
    network = branching_network(rng)
    frames = {"image": random_frames(rng, network.inputs[0], 6)}
    recording = lava.run(network, frames)
    assert_same(recording, engine.run(network, frames))
    assert recording.engine == "lava"
    assert all(0 < spikes.mean() < 1 for spikes in recording.spikes.values())


def test_graded_inputs_give_what_scipy_computes():
    rng = np.random.default_rng(5)
    source = Input("image", (2, 12, 10), (-3, 12))
    weight, bias, threshold = rng.integers(-60, 60, (3, 2, 4, 3)), np.array([-200, 0, 77]), 41
    network = Network((source,), (Layer("a", ("image",), Conv2d(weight), LIF(threshold, bias)),), ("a",))
    frames = random_frames(rng, source, 4)
    membranes = np.array(
        [
            [
                sum(scipy_signal.correlate2d(frame[c], kernel[c], mode="valid") for c in range(2)) + offset
                for kernel, offset in zip(weight, bias, strict=True)
            ]
            for frame in frames
        ]
    )
    recording = lava.run(network, {"image": frames})
    np.testing.assert_array_equal(recording.membranes["a"], membranes)
    np.testing.assert_array_equal(recording.spikes["a"], membranes > threshold)


def test_pooling_and_more_groups_than_lava_can_count_are_exact():
    rng = np.random.default_rng(6)
    source = Input("image", (130, 7, 7))
    layers = (
        Layer("pool", ("image",), Pool((3, 3), (2, 2), weight=2), LIF(1)),
        Layer("depthwise", ("pool",), random_conv(rng, 130, 1, (2, 2), groups=130), Accumulator()),
    )
    network = Network((source,), layers, ("depthwise",))
    frames = {"image": random_frames(rng, source, 3) & rng.integers(0, 2, (3, *source.shape))}
    recording = lava.run(network, frames)
    assert_same(recording, engine.run(network, frames))
    largest = ndimage.maximum_filter(frames["image"], size=(1, 1, 3, 3))[:, :, 1:-1:2, 1:-1:2]
    np.testing.assert_array_equal(recording.spikes["pool"], largest)


def test_dense_layers_after_flattening_are_exact():
    rng = np.random.default_rng(7)
    layers = (
        Layer("a", ("image",), random_conv(rng, 3, 1, (2, 2)), LIF(21)),
        Layer("flat", ("a",), Flatten()),
        Layer("b", ("flat",), Dense(rng.integers(-63, 64, (10, 60)), weight_exponent=2), LIF(101)),
        Layer("c", ("b",), Dense(rng.integers(-256, 256, (4, 10))), Accumulator(np.arange(4))),
    )
    network = Network((Input("image", (1, 6, 5)),), layers, ("c",))
    frames = {"image": random_frames(rng, network.inputs[0], 5)}
    assert_same(lava.run(network, frames), engine.run(network, frames))


def test_neurons_that_remember_carry_it_from_frame_to_frame():
    rng = np.random.default_rng(8)
    layers = (
        Layer("a", ("image",), random_conv(rng, 4, 2, (3, 3)), LIF(901, current_decay=2048, voltage_decay=300)),
        Layer("b", ("a",), random_conv(rng, 4, 4, (3, 3)), LIF(1301, current_decay=4096, voltage_decay=0)),
    )
    network = Network((Input("image", (2, 9, 9)),), layers, ("b",))
    frames = {"image": random_frames(rng, network.inputs[0], 12)}
    assert_same(lava.run(network, frames), engine.run(network, frames))


def test_inputs_that_never_meet_run_side_by_side():
    rng = np.random.default_rng(9)
    inputs = (Input("left", (1, 6, 6)), Input("right", (2, 5, 5), (0, 7)))
    layers = (
        Layer("a", ("left",), random_conv(rng, 2, 1, (3, 3)), LIF(31)),
        Layer("b", ("right",), random_conv(rng, 2, 2, (3, 3)), LIF(31)),
        Layer("c", ("b",), random_conv(rng, 2, 2, (1, 1)), Accumulator()),
    )
    network = Network(inputs, layers, ("a", "c"))
    frames = {source.name: random_frames(rng, source, 4) for source in inputs}
    assert_same(lava.run(network, frames), engine.run(network, frames))


@pytest.mark.parametrize("dense", [False, True])
def test_net_files_loaded_by_stock_netx_give_the_same_bits_as_the_engine(tmp_path, dense):
    rng = np.random.default_rng(10)
    network = branching_network(rng)
    if dense:
        size = network.shape("c").size
        head = Layer("head", ("flat",), Dense(rng.integers(-64, 64, (5, size)) * 2), Accumulator(np.arange(5) * 2))
        network = Network(
            network.inputs, (*network.layers, Layer("flat", ("c",), Flatten()), head), ("near", "c", "head")
        )
        network = network.subnetwork(("near", "c", "head"))
    parts = []
    for index, chain in enumerate(chains(network)):
        path = tmp_path / f"{index}.net"
        write_net(chain_network(network, chain), path)
        names = tuple(name for name in chain.layers if network.layer(name).neuron is not None)
        parts.append(lava.NetPart(path, names, network_source(network, chain.source), 0))
    frames = {"image": random_frames(rng, network.inputs[0], 5)}
    recording = lava.run_net_files(parts, frames)
    expected = engine.run(network, frames)
    for name, membranes in expected.membranes.items():
        np.testing.assert_array_equal(recording.membranes[name], membranes, err_msg=name)
    for name, spikes in expected.spikes.items():
        np.testing.assert_array_equal(recording.spikes[name], spikes, err_msg=name)


def network_source(network, name):
    """The input or layer with neurons that feeds the wires at ``name``."""
    names = {layer.name for layer in network.layers}
    return (
        network_source(network, network.layer(name).inputs[0])
        if name in names and network.layer(name).neuron is None
        else name
    )


def test_every_segment_of_shared_memory_bears_the_name_of_its_job(traces):
    names = set()

    def progress(done, _):
        if done and not names:
            worker = traces.members()[0]
            paths = {Path(mapped.path) for mapped in worker.memory_maps()} & set(Path("/dev/shm").iterdir())
            names.update(path.name.startswith(worker.environ()[JOB_VARIABLE]) for path in paths)

    lava.run(small_network(), {"image": np.zeros((300, 2, 9, 9))}, progress=progress)
    assert names == {True}


def test_a_net_file_that_is_missing_or_reads_nothing_known_is_named(tmp_path):
    path, frames = tmp_path / "part.net", {"image": np.zeros((1, 2, 9, 9))}
    with pytest.raises(FormatError, match=r"part\.net: there is no such file"):
        lava.run_net_files([lava.NetPart(path, ("a",), "image")], frames)
    path.touch()
    with pytest.raises(FormatError, match=r"part\.net: reads 'pixels', but there are only image"):
        lava.run_net_files([lava.NetPart(path, ("a",), "pixels")], frames)


def test_progress_reaches_the_last_frame():
    seen = []
    network = small_network()
    lava.run(network, {"image": np.zeros((5, 2, 9, 9))}, progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(set(seen))
    assert seen[-1] == (5, 5)


def test_the_caller_never_imports_lava():
    script = "import sys, sim.lava; sys.exit(any(name.split('.')[0] == 'lava' for name in sys.modules))"
    root = Path(sim.__file__).resolve().parents[1]
    assert subprocess.run([sys.executable, "-c", script], cwd=root, check=False).returncode == 0


def test_a_missing_lava_is_named_with_the_way_to_install_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(lava.LavaError, match=r"pip install 'monospike\[lava\]'"):
        lava.run(small_network(), {"image": np.zeros((1, 2, 9, 9))})


def one_layer(synapse, neuron=None, source=(1, 200, 200)):
    return Network((Input("image", source),), (Layer("odd", ("image",), synapse, neuron or LIF(1)),), ("odd",))


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (one_layer(Conv2d(np.ones((1, 1, 128, 1)))), "'odd'.*kernel of 128"),
        (one_layer(Conv2d(np.ones((1, 1, 1, 1)), padding=64)), "'odd'.*padding 64"),
        (one_layer(Conv2d(np.ones((1, 1, 1, 1)), weight_exponent=-1)), "'odd'.*exponent -1"),
        (one_layer(Conv2d(np.ones((1, 1, 1, 1))), LIF(1, np.array([3]), voltage_decay=0)), "'odd'.*bias acts before"),
        (
            Network(
                (Input("image", (1, 3, 3)),),
                (
                    Layer("sum", ("image",), Conv2d(np.ones((1, 1, 1, 1))), Accumulator()),
                    Layer("next", ("sum",), Conv2d(np.ones((1, 1, 1, 1))), LIF(1)),
                ),
                ("next",),
            ),
            "'next'.*accumulator 'sum'",
        ),
        (
            Network(
                (Input("image", (1, 3, 3)),),
                (
                    Layer("both", ("image", "image"), Concat()),
                    Layer("next", ("both",), Conv2d(np.ones((1, 2, 1, 1))), LIF(1)),
                ),
                ("next",),
            ),
            "'both'.*Concat",
        ),
    ],
)
def test_what_lava_cannot_run_with_the_same_bits_is_refused_by_name(network, message):
    with pytest.raises(NetworkError, match=message):
        lava.run(network, {"image": np.zeros((1, *network.inputs[0].shape))})


def test_frames_that_do_not_fit_are_refused_before_lava_starts():
    with pytest.raises(NetworkError, match=r"'image'.*shape \(1, 2, 8, 9\)"):
        lava.run(small_network(), {"image": np.zeros((1, 2, 8, 9))})


RANGES, BITS = [Range(0, 1), Range(0, 2), Range(0, 255), Range(-1, 1), Range(-128, 127)], [0, 2, 8, 2, 9]


def test_the_width_of_a_message_covers_its_range():
    assert [message_bits(values) for values in RANGES] == BITS


def test_an_exception_in_a_lava_model_reaches_the_caller_with_its_text(monkeypatch):
    # Without the limit of 127, Lava's own model pads by a width that has overflowed its 8 bits, and raises.
    monkeypatch.setitem(lava_plan.LARGEST, "stock", 1000)
    network = one_layer(Conv2d(np.ones((1, 1, 1, 1)), padding=130), source=(1, 2, 2))
    with pytest.raises(lava.LavaError, match=r"Lava failed: Exception: Found output x dimension \(=-250\)") as error:
        lava.run(network, {"image": np.zeros((1, 1, 2, 2))})
    assert "in run_spk" in error.value.details


def test_an_exception_while_a_network_is_built_reaches_the_caller_with_its_text(tmp_path):
    path = tmp_path / "broken.net"
    path.write_bytes(b"this is no HDF5")
    with pytest.raises(lava.LavaError, match=r"OSError: .*file signature not found"):
        lava.run_net_files([lava.NetPart(path, ("a",), "image")], {"image": np.zeros((1, 2, 9, 9))})


def act_once(traces, action):
    """A progress callback that does ``action`` to one of Lava's own processes as soon as frames come out."""
    done = []

    def progress(frames, _):
        if frames and not done:
            # The youngest belong to the runtime and the layers; the worker itself is the session's leader.
            leaves = [process for process in traces.members() if not process.children()]
            done.append(action(leaves[-1]))

    return progress


def test_a_lava_process_that_is_killed_is_an_error_not_a_hang(traces):
    with pytest.raises(lava.LavaError, match="one of Lava's processes was killed"):
        lava.run(
            small_network(),
            {"image": np.zeros((3000, 2, 9, 9))},
            progress=act_once(traces, psutil.Process.kill),
        )
    assert traces.left() == []


def test_a_hang_ends_with_the_time_limit_and_says_how_far_it_got(traces):
    with pytest.raises(lava.LavaTimeout, match=r"within 8 s; \d+ of 9000 frames were done"):
        lava.run(
            small_network(),
            {"image": np.zeros((9000, 2, 9, 9))},
            timeout=8,
            progress=act_once(traces, psutil.Process.suspend),
        )
    assert traces.left() == []


def test_too_little_time_to_start_is_said(traces):
    with pytest.raises(lava.LavaTimeout, match=r"within 0.1 s; it had not started"):
        lava.run(small_network(), {"image": np.zeros((5, 2, 9, 9))}, timeout=0.1)
    assert traces.left() == []


CALLER = """
import numpy as np
from netx import LIF, Conv2d, Input, Layer, Network
from sim import lava
layer = Layer("a", ("image",), Conv2d(np.ones((4, 2, 3, 3))), LIF(3))
network = Network((Input("image", (2, 9, 9)),), (layer,), ("a",))
lava.run(network, {"image": np.zeros((9000, 2, 9, 9))}, progress=lambda done, total: done and print(done))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_caller_that_goes_away_takes_lava_along(traces, number):
    caller = traces.start(CALLER)
    assert len(traces.members()) > 5
    caller.send_signal(number)
    caller.communicate()
    traces.wait_until(lambda: not traces.left())


def test_a_supervisor_that_is_killed_takes_lava_along(traces):
    caller = traces.start(CALLER)
    traces.supervisor().kill()
    _, errors = caller.communicate()
    assert "LavaError" in errors
    assert traces.left() == []


@pytest.mark.usefixtures("traces")
def test_a_run_whose_supervisor_is_told_to_end_says_so(monkeypatch):
    monkeypatch.setattr(runner, "supervise", lambda *_, **__: Ending.STOPPED)
    with pytest.raises(lava.LavaError, match="was stopped"):
        lava.run_worker("sim.lava.worker", lambda _: None, lambda _: None, lava.Work(1, 60, None))


def test_lava_dies_even_when_caller_and_supervisor_are_both_killed(traces):
    caller = traces.start(CALLER)
    supervisor = traces.supervisor()
    supervisor.suspend()
    caller.kill()
    caller.communicate()
    supervisor.kill()
    traces.wait_until(lambda: not traces.processes())
    with job_folder():
        pass
    assert traces.left() == []
