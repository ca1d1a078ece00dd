"""Lava cannot hurt: it only ever runs in child processes, what it cannot run is refused, and how a job ends is said."""

import importlib.util
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest

import sim
from netx import LIF, Accumulator, Conv2d, FormatError, Input, Layer, Network, NetworkError
from sim import lava
from sim.lava import plan as lava_plan
from sim.lava import runner
from sim.supervise import JOB_VARIABLE, Ending, job_folder

pytestmark = [pytest.mark.lava, pytest.mark.usefixtures("traces")]


def small_network():
    rng = np.random.default_rng(3)
    first, second = (Conv2d(rng.integers(-128, 128, shape) * 2) for shape in ((4, 2, 3, 3), (2, 4, 3, 3)))
    layers = (Layer("a", ("image",), first, LIF(31)), Layer("out", ("a",), second, Accumulator()))
    return Network((Input("image", (2, 9, 9)),), layers, ("out",))


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
    ],
)
def test_what_lava_cannot_run_with_the_same_bits_is_refused_by_name(network, message):
    with pytest.raises(NetworkError, match=message):
        lava.run(network, {"image": np.zeros((1, *network.inputs[0].shape))})


def test_frames_that_do_not_fit_are_refused_before_lava_starts():
    with pytest.raises(NetworkError, match=r"'image'.*shape \(1, 2, 8, 9\)"):
        lava.run(small_network(), {"image": np.zeros((1, 2, 8, 9))})


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
