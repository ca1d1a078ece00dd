"""Exported C: compiled and run, with the exact engine's answers as what it has to give."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from netx import (
    LIF,
    Accumulator,
    Concat,
    Conv2d,
    Correlation,
    Dense,
    Direct,
    FormatError,
    Input,
    Layer,
    Network,
    NetworkError,
    Pool,
    Range,
    Recurrent,
    Shape,
    Sigma,
    SigmaDelta,
    Upsample,
)
from netx.bundle import save
from netx.c_source import Golden, GoldenPart, write_c
from netx.c_source.golden import MULTIPLIER, checksum
from netx.fingerprint import fingerprint
from pipeline.cli.app import app
from pipeline.deploy.export_c import export_c, golden_of
from pipeline.model_zoo.names import card, packaged
from pipeline.model_zoo.networks import read_network
from sim import engine
from sim.drawn_frames import draw_frames
from sim.random_networks import seeded

COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]
STRICT = ["-std=c11", "-Wall", "-Wextra", "-pedantic", "-Werror"]
STUDENTS = [name for name in packaged() if card(name)["fingerprint"]]


@pytest.fixture(params=COMPILERS or [None])
def compiler(request: pytest.FixtureRequest) -> str:
    if request.param is None:
        pytest.skip("neither gcc nor clang is on the PATH")
    return str(request.param)


def build(compiler: str, folder: Path, *options: str) -> Path:
    """The program of all C files in ``folder``; a warning fails."""
    program = folder / "program"
    command = [compiler, *STRICT, *options, *sorted(map(str, folder.glob("*.c"))), "-o", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[:4000]
    return program


def said(program: Path) -> tuple[int, str]:
    done = subprocess.run([str(program)], capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout


def checked(compiler: str, network: Network, frames: dict[str, np.ndarray], folder: Path) -> None:
    """Export, and let the source check itself: as it is, and with its membranes."""
    write_c(network, folder, golden_of(network, frames, "given"))
    for options in ((), (f"-D{folder.name.upper()}_MEMBRANES",)):
        code, text = said(build(compiler, folder, *options))
        assert (code, text.partition(":")[0]) == (0, "identical"), text


def leaky() -> Network:
    """Two neurons, one input each; by hand below."""
    lif = LIF(threshold=10, current_decay=2048, voltage_decay=4096, refractory=1)
    return Network(
        (Input("x", Shape(2, 1, 1), Range(0, 9)),), (Layer("leaky", ("x",), Dense([[2, 0], [0, 3]]), lif),), ("leaky",)
    )


def test_a_step_does_what_the_equations_say_by_hand(compiler: str, tmp_path: Path) -> None:
    # Neuron 0 gets 2 * 4 = 8 a step: its current is 8, 12, 14; it fires above 10, rests one step, and fires again.
    # Neuron 1 gets 3 * 1 = 3 a step: 3, 4.5, 5.25, 5.625 never exceed 10.
    export_c(leaky(), tmp_path / "leaky", None, 1, 0)
    (tmp_path / "leaky" / "leaky_check.c").write_text(
        """
#include <stdio.h>
#include "leaky.h"
static leaky_state state;
int main(void)
{
    const uint8_t x[2] = {4, 1};
    leaky_init(&state);
    for (int step = 0; step < 4; step++) {
        if (leaky_step(&state, x) != 0) {
            return 1;
        }
        printf("%d%d ", leaky_output_leaky(&state)[0], leaky_output_leaky(&state)[1]);
    }
    printf("%lu", (unsigned long)sizeof state);
    return 0;
}
""",
        encoding="ascii",
    )
    code, text = said(build(compiler, tmp_path / "leaky"))
    # Currents and waits of 4 bytes, spikes of one, twice each, and rounded up to four.
    assert (code, text) == (0, "00 10 00 10 20")
    memory = json.loads((tmp_path / "leaky" / "manifest.json").read_text())["memory"]
    assert memory == {"state_bytes": 20, "constant_bytes": 4}
    assert "20 bytes of state" in (tmp_path / "leaky" / "leaky.h").read_text()


@pytest.mark.timeout(900)
@pytest.mark.parametrize("first", range(0, 200, 25))
def test_two_hundred_drawn_networks_are_bit_equal(compiler: str, first: int, tmp_path: Path) -> None:
    ran = 0
    for seed in range(first, first + 25):
        drawn = seeded(seed)
        try:
            golden = golden_of(drawn.network, drawn.frames, "drawn")
        except NetworkError:  # sums that leave 32 bits: there is nothing to compare with
            continue
        folder = tmp_path / f"n{seed}"
        write_c(drawn.network, folder, golden)
        code, text = said(build(compiler, folder, *([f"-DN{seed}_MEMBRANES"] if seed % 2 else [])))
        assert code == 0, f"seed {seed}: {text}"
        ran += 1
    assert ran > 20


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", STUDENTS)
def test_every_shipped_student_is_bit_equal(name: str, tmp_path: Path) -> None:
    if not COMPILERS:
        pytest.skip("neither gcc nor clang is on the PATH")
    folder = tmp_path / "student"
    network = read_network(Path(name))
    export_c(network, folder, None, 2, 7)
    code, text = said(build(COMPILERS[0], folder, "-O1", "-DSTUDENT_MEMBRANES"))
    assert (code, text) == (
        0,
        f"identical: {sum(layer.neuron is not None for layer in network.layers)} layers, 2 frames\n",
    )
    assert json.loads((folder / "manifest.json").read_text())["fingerprint"] == fingerprint(network)


def branched() -> Network:
    """What drawn networks lack: two inputs, branches, names that C has taken, refractory periods, wide messages."""
    random = np.random.default_rng(3)
    wide = Range(-(1 << 31), (1 << 31) - 1)
    fed = Recurrent(Dense([[3], [9]], 2, delay=[[1], [3]]), Dense([[7, -6], [5, 0]], -1, delay=[[0, 2]]))
    layers = (
        Layer("int", ("while",), Conv2d(random.integers(-9, 12, (3, 2, 2, 2)), padding=(0, 0)), LIF(20, refractory=2)),
        Layer("NULL", ("while",), Pool(2, 1, weight=3), LIF(3, voltage_decay=300, reset_interval=3, reset_offset=2)),
        Layer("step", ("int", "NULL"), Concat()),
        Layer("_x", ("step",), Conv2d(random.integers(-9, 12, (2, 5, 1, 1))), LIF(4, [7, -3], 5)),
        Layer("near", ("_x",), Upsample((2, 3))),
        Layer("apart", ("near",), Upsample((3, 2), zeros=True, trailing=(1, 0))),
        Layer("up", ("apart",), Conv2d(random.integers(-9, 12, (2, 2, 3, 3))), LIF(3)),
        Layer("large", ("wide",), Upsample(2)),
        Layer("main", ("wide",), Direct(), SigmaDelta(30, [5])),
        Layer("sum", ("main",), Direct(), Sigma()),
        Layer("both", ("wide", "sum"), Concat()),
        Layer("fed", ("pixel",), fed, LIF(40, current_decay=900, refractory=1)),
        Layer("l" + "o" * 90 + "1", ("fed",), Dense([[1, 2]]), Accumulator([4])),
        Layer("l" + "o" * 90 + "2", ("fed",), Dense([[2, 1]]), Accumulator()),
    )  # fmt: skip
    inputs = (
        Input("while", Shape(2, 4, 4)),
        Input("wide", Shape(1, 1, 3), wide),
        Input("pixel", Shape(1, 1, 1), Range(-5, 300)),
    )
    return Network(inputs, layers, ("_x", "up", "large", "both", layers[-1].name, layers[-2].name, "sum"))


def test_branches_and_names_that_c_has_taken(compiler: str, tmp_path: Path) -> None:
    network = branched()
    frames = draw_frames(network, 12, 5)
    recording = engine.run(network, frames)
    assert all(values.any() and not values.all() for values in recording.spikes.values()), "a silent test"
    checked(compiler, network, frames, tmp_path / "auto")


def siamese() -> Network:
    random = np.random.default_rng(4)
    layers = (
        Layer("t", ("template",), Conv2d(random.integers(-20, 30, (3, 1, 3, 3))), LIF(20, voltage_decay=100)),
        Layer("unread", ("template",), Conv2d(random.integers(-20, 30, (1, 1, 1, 1))), LIF(20)),
        Layer("s", ("search",), Conv2d(random.integers(-20, 30, (3, 1, 3, 3))), LIF(20)),
        Layer("both", ("s", "t"), Correlation(5, 2), LIF(9, [-5, 0, 3, 2, 1, 9])),
        Layer("out", ("both",), Conv2d(random.integers(-9, 9, (1, 6, 1, 1))), Accumulator()),
    )
    inputs = (Input("template", Shape(1, 5, 5), Range(-4, 4)), Input("search", Shape(1, 9, 8), Range(-4, 4)))
    return Network(inputs, layers, ("out", "t"))


def test_a_tracker_takes_its_template_in_c(compiler: str, tmp_path: Path) -> None:
    checked(compiler, siamese(), draw_frames(siamese(), 3, 1), tmp_path / "tracker")


def test_a_changed_weight_is_found_and_its_layer_named(compiler: str, tmp_path: Path) -> None:
    folder = tmp_path / "net"
    export_c(siamese(), folder, None, 3, 1)
    source = folder / "net.c"
    lines = source.read_text().splitlines()
    at = next(number for number, line in enumerate(lines) if "weight_4" in line) + 1
    first, _, rest = lines[at].strip().partition(",")
    lines[at] = f"{int(first) + 1},{rest}"
    source.write_text("\n".join(lines) + "\n")
    code, text = said(build(compiler, folder))
    assert code == 1
    assert "layer out" in text
    assert "layer both" not in text


def test_a_sum_beyond_32_bits_ends_the_step_with_its_layer(compiler: str, tmp_path: Path) -> None:
    source = Input("x", Shape(2, 1, 1), Range(0, 1 << 30))
    layers = (
        Layer("small", ("x",), Dense([[1, 0]]), LIF(3)),
        Layer("large", ("x",), Dense([[1, 2]]), LIF(3)),
    )
    network = Network((source,), layers, ("small", "large"))
    write_c(network, tmp_path / "big", golden_of(network, {"x": np.array([1, 1]).reshape(1, 2, 1, 1)}, "given"))
    check = tmp_path / "big" / "big_check.c"
    assert "\n1, 1," in check.read_text().replace(" ", "").replace("1,1", "1, 1")
    check.write_text(check.read_text().replace("        1, 1,", "        1073741824, 1073741824,"))
    code, text = said(build(compiler, tmp_path / "big"))
    assert (code, text) == (1, "frame 0: a sum of layer number 2 left 32 bits\n")
    with pytest.raises(NetworkError, match="'large': a sum of 3221225472 leaves 32 bits"):
        engine.run(network, {"x": np.full((1, 2, 1, 1), 1 << 30)})


def test_the_checksum_is_what_its_formula_says() -> None:
    # Of -1 and 2: ((2^32 - 1) + 1) * m + 2 + 1, modulo 2^64.
    assert checksum(np.array([-1, 2])) == ((1 << 32) * MULTIPLIER + 3) % (1 << 64)


def test_what_c_cannot_add_up_is_refused_by_name(tmp_path: Path) -> None:
    wide = Input("x", Shape(1, 3000, 3000), Range(-(1 << 31), 0))
    network = Network((wide,), (Layer("huge", ("x",), Pool(3000, 1, weight=255), LIF(1)),), ("huge",))
    part = GoldenPart({}, {}, {})
    with pytest.raises(FormatError, match=f"layer 'huge': its sums may reach {9_000_000 * 255 << 31}"):
        write_c(network, tmp_path / "out", Golden(part))
    assert not (tmp_path / "out").exists()


def test_another_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(FormatError, match="holds something else"):
        export_c(leaky(), tmp_path / "mine", None, 1, 0)
    export_c(leaky(), tmp_path / "new", None, 1, 0)
    export_c(leaky(), tmp_path / "new", None, 2, 0)  # its own is replaced
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "manifest.json",
        "new.c",
        "new.h",
        "new_check.c",
    ]


@pytest.mark.parametrize(
    ("folder", "name"), [("string", "net_string"), ("9 lives", "net_9_lives"), ("ü", "net"), ("a-B", "a_b")]
)
def test_a_folders_name_becomes_an_identifier(folder: str, name: str, tmp_path: Path) -> None:
    export_c(leaky(), tmp_path / folder, None, 1, 0)
    assert (tmp_path / folder / f"{name}.h").is_file()


def test_the_command_takes_golden_frames_and_their_name_ends_no_comment(compiler: str, tmp_path: Path) -> None:
    save(siamese().subnetwork(("t",)), tmp_path / "t.net")
    frames = str(tmp_path / "golden *\\ ??.npy")
    np.save(frames, np.zeros((5, 1, 5, 5), np.int8) + 3)
    arguments = [
        "export",
        str(tmp_path / "t.net"),
        str(tmp_path / "c"),
        "--for",
        "c",
        "--frames",
        frames,
        "--golden",
        "3",
    ]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    manifest = json.loads((tmp_path / "c" / "manifest.json").read_text())
    assert manifest["golden"]["frames"] == {"step": 3}
    assert said(build(compiler, tmp_path / "c")) == (0, "identical: 1 layers, 3 frames\n")
