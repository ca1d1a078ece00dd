"""``monospike simulate``: from files to a recording, and how it ends when something is wrong."""

import sys
from pathlib import Path

import numpy as np
import pytest

from netx import LIF, Accumulator, Conv2d, Dense, Flatten, FormatError, Input, Layer, Network, NetworkError, Range
from netx.bundle import save
from pipeline.cli import app as cli
from pipeline.core.progress import Progress
from pipeline.deploy.simulation import Mode, simulate, summary
from sim import engine
from sim.frame_files import read_input
from sim.recording import Recording

RNG = np.random.default_rng(3)
NETWORK = Network(
    (Input("image", (2, 5, 4), Range(0, 3)),),
    (
        Layer("edges", ("image",), Conv2d(RNG.integers(-9, 9, (3, 2, 2, 3)) * 2), LIF(7, voltage_decay=900)),
        Layer("flat", ("edges",), Flatten()),
        Layer("score", ("flat",), Dense(RNG.integers(-9, 9, (2, 24)) * 2), Accumulator()),
    ),
    ("score",),
)
FRAMES = RNG.integers(0, 4, (7, 2, 5, 4))


def command(monkeypatch, *arguments):
    """Exit status of ``monospike simulate``."""
    monkeypatch.setattr(sys, "argv", ["monospike", "simulate", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code or 0


@pytest.fixture
def files(tmp_path: Path) -> Path:
    save(NETWORK, tmp_path / "n.net")
    np.save(tmp_path / "frames.npy", FRAMES)
    return tmp_path


def assert_recorded(path, frames):
    recording, expected = Recording.load(path), engine.run(NETWORK, {"image": frames})
    for name, membrane in expected.membranes.items():
        np.testing.assert_array_equal(recording.membranes[name], membrane)
    np.testing.assert_array_equal(recording.spikes["edges"], expected.spikes["edges"])


def test_a_recording_is_written_and_each_layer_told(files, monkeypatch, capsys):
    assert command(monkeypatch, files / "n.net", "--input", files / "frames.npy", "--out", files / "r.npz") == 0
    assert_recorded(files / "r.npz", FRAMES)
    said = capsys.readouterr().out
    expected = engine.run(NETWORK, {"image": FRAMES})
    readout = expected.membranes["score"]
    assert f"{expected.spikes['edges'].sum()} spikes" in said
    assert f"read-out {readout.min()}..{readout.max()}" in said
    assert "7 of 7 frames are in" in said


@pytest.mark.parametrize(("given", "steps", "expected"), [(FRAMES, 4, FRAMES[:4]), (FRAMES[0], 3, FRAMES[[0, 0, 0]])])
def test_steps_cut_a_sequence_and_hold_a_frame(given, steps, expected, files, monkeypatch):
    np.save(files / "given.npy", given)
    arguments = ("--input", files / "given.npy", "--steps", steps, "--out", files / "r.npz")
    assert command(monkeypatch, files / "n.net", *arguments) == 0
    assert_recorded(files / "r.npz", expected)


def test_lavas_order_of_axes_and_named_arrays_are_taken(files):
    np.savez(files / "named.npz", image=FRAMES.transpose(3, 2, 1, 0), other=np.zeros(2))
    read = read_input(files / "named.npz", NETWORK, None, lava_order=True)
    np.testing.assert_array_equal(read["image"], FRAMES)
    np.save(files / "flat.npy", FRAMES.reshape(7, -1))
    np.testing.assert_array_equal(read_input(files / "flat.npy", NETWORK, None, False)["image"], FRAMES)


def test_the_type_of_the_sums_is_told_and_can_be_chosen(files, monkeypatch, capsys):
    stateless = Network(
        NETWORK.inputs,
        (Layer("edges", ("image",), Conv2d(NETWORK.layer("edges").synapse.weight), LIF(7)), *NETWORK.layers[1:]),
        NETWORK.outputs,
    )
    save(stateless, files / "stateless.net")
    recordings = {}
    for sums in ("", "int8", "float64"):
        out = files / f"{sums}.npz"
        chosen = ("--sums", sums) if sums else ()
        arguments = (files / "stateless.net", "--input", files / "frames.npy", "--out", out, *chosen)
        assert command(monkeypatch, *arguments) == 0
        said = capsys.readouterr().out
        assert f"sums in {sums or 'float32'}, at most" in said
        recordings[sums] = Recording.load(out).membranes["score"]
    np.testing.assert_array_equal(recordings["int8"], recordings["float64"])
    np.testing.assert_array_equal(recordings[""], recordings["float64"])


def test_a_network_that_remembers_is_compiled_like_any_other(files, monkeypatch, capsys):
    remembered = {}
    for sums in ("float32", "int8"):
        out = files / f"remembered-{sums}.npz"
        arguments = (files / "n.net", "--input", files / "frames.npy", "--out", out, "--sums", sums)
        assert command(monkeypatch, *arguments) == 0
        assert f"sums in {sums}, at most" in capsys.readouterr().out
        remembered[sums] = Recording.load(out)
    np.testing.assert_array_equal(remembered["int8"].spikes["edges"], remembered["float32"].spikes["edges"])


def test_an_interrupted_run_keeps_what_it_has_finished(files, monkeypatch, capsys):
    parts = engine.run_in_parts

    def interrupted(network, frames, size, **how):
        del size
        for done, part in enumerate(parts(network, frames, 2, **how)):
            if done == 2:
                raise KeyboardInterrupt
            yield part

    monkeypatch.setattr(engine, "run_in_parts", interrupted)
    assert command(monkeypatch, files / "n.net", "--input", files / "frames.npy", "--out", files / "r.npz") == 1
    assert_recorded(files / "r.npz", FRAMES[:4])
    said = capsys.readouterr().out
    assert "interrupted after 4 of 7 frames" in said
    assert "4 of 7 frames are in" in said


def test_what_is_not_finished_at_all_is_not_written(files, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(engine, "run_in_parts", interrupted)
    assert command(monkeypatch, files / "n.net", "--input", files / "frames.npy", "--out", files / "r.npz") == 1
    assert not (files / "r.npz").exists()
    assert summary(simulate(NETWORK, {"image": FRAMES}, Mode(), Progress(quiet=True))) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("n.net", "--input", "none.npy"), "none.npy: there is no such file"),
        (("none.net", "--input", "frames.npy"), "none.net: there is no such file"),
        (("n.net", "--input", "n.net"), "n.net: is not an .npy or .npz file of numbers"),
        (("frames.npy", "--input", "frames.npy"), "frames.npy"),
        (("n.net", "--input", "frames.npy", "--steps", "8"), "input 'image': has 7 frames, fewer than the 8"),
        (("n.net", "--input", "frames.npy", "--lava-order"), "as (column, row, channel, step); it fits without --lava"),
        (("n.net", "--input", "frames.npy", "--device", "gpu"), "--device gpu: expected cpu or cuda"),
        (("n.net", "--input", "frames.npy", "--strict"), "layer 'score': a read-out needs"),
        (("n.net", "--input", "large.npy"), "input 'image': frames hold 0..4, expected 0..3"),
        (("n.net", "--input", "pickle.npy"), "pickle.npy: is not an .npy or .npz file of numbers"),
        (("n.net", "--input", "empty.npy"), "empty.npy: is not an .npy or .npz file of numbers"),
    ],
)
def test_what_is_wrong_ends_in_one_message_with_its_place(arguments, message, files, monkeypatch, capsys):
    np.save(files / "large.npy", np.where(np.arange(40).reshape(1, 2, 5, 4) == 3, 4, 0))
    np.save(files / "pickle.npy", np.array([{}], dtype=object), allow_pickle=True)
    (files / "empty.npy").touch()
    monkeypatch.chdir(files)
    assert command(monkeypatch, *arguments, "--out", "r.npz") == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert not (files / "r.npz").exists()


def test_an_archive_lacks_an_input(files):
    np.savez(files / "named.npz", picture=FRAMES)
    with pytest.raises(FormatError, match=r"named\.npz: holds picture, but there is an input 'image'"):
        read_input(files / "named.npz", NETWORK, None, False)


def test_a_frame_that_does_not_fit_is_refused(files):
    np.save(files / "wide.npy", np.zeros((7, 2, 5, 5)))
    with pytest.raises(NetworkError, match=r"input 'image': shape .7, 2, 5, 5. does not fit"):
        read_input(files / "wide.npy", NETWORK, None, False)
