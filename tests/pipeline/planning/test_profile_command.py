"""``monospike profile`` as a user meets it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner, Result

import sim.hardware
from netx import LIF, Accumulator, Conv2d, Input, Layer, MonospikeError, Network, Range, Shape
from netx.bundle import save
from pipeline.cli.app import app
from sim.hardware import OPERATIONS, UNITS
from sim.recording import Recording

SPIKING = Range(0, 1)
PIXELS = Range(-16, 15)


def chain(values: Range) -> Network:
    rng = np.random.default_rng(4)
    layers = (
        Layer("conv", ("frame",), Conv2d(2 * rng.integers(-30, 40, (6, 3, 3, 3)), padding=1), LIF(101)),
        Layer("read", ("conv",), Conv2d(2 * rng.integers(-30, 40, (2, 6, 2, 2)), stride=2), Accumulator()),
    )
    return Network((Input("frame", Shape(3, 16, 16), values),), layers, ("read",))


def spikes(frames: int = 4) -> np.ndarray:
    return (np.random.default_rng(5).random((frames, 3, 16, 16)) < 0.3).astype(np.uint8)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a network and frames for it."""
    save(chain(SPIKING), tmp_path / "network.nir")
    np.save(tmp_path / "frames.npy", spikes())
    return tmp_path


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["profile", *map(str, words)])


def refused(result: Result) -> str:
    assert isinstance(result.exception, MonospikeError), result.output
    return str(result.exception)


def test_operations_joules_and_seconds_are_said_and_written_as_json_csv_and_picture(place: Path) -> None:
    out, table, picture = place / "plan.json", place / "plan.csv", place / "chip.svg"
    asked = (place / "network.nir", "--chip", "loihi1_sanafe", "--frames", place / "frames.npy", "--place")
    result = run(*asked, "--out", out, "--csv", table, "--svg", picture)
    assert result.exit_code == 0, result.output
    for said in ("dynamic energy", "time step", "frames a second", "slowest is core", "no static power is known"):
        assert said in result.output
    plan = json.loads(out.read_text())
    assert plan["fits"]
    assert plan["frames"] == 4
    assert plan["placement"] == "by traffic"
    assert list(plan["joules"]["units"]) == list(UNITS)
    dynamic = plan["joules"]["dynamic"]
    assert 0 < dynamic["low"] < dynamic["typical"] < dynamic["high"]
    rows = list(csv.DictReader(table.open()))
    assert [row["layer"] for row in rows] == ["conv", "read", "all"]
    assert float(rows[2]["joules_typical"]) == pytest.approx(dynamic["typical"], rel=1e-5)
    assert len(set(rows[0])) == len(next(csv.reader(table.open()))), "no two columns have one name"
    assert [int(row["neurons"]) for row in rows] == [layer["neurons"] for layer in plan["layers"]] + [
        sum(layer["neurons"] for layer in plan["layers"])
    ]
    for name in ("neurons_updated" if name == "neurons" else name for name in OPERATIONS[:-2]):
        assert float(rows[0][name]) + float(rows[1][name]) == pytest.approx(float(rows[2][name]))
    assert float(rows[0]["spikes"]) == float(rows[2]["messages_out"])  # each is read by one window
    assert picture.read_text().startswith("<svg")


def test_a_frame_of_several_steps_costs_what_its_steps_cost(place: Path) -> None:
    asked = (place / "network.nir", "--chip", "loihi1_davies2018", "--frames", place / "frames.npy")
    found = []
    for steps in (1, 2):
        assert run(*asked, "--steps", steps, "--out", place / "plan.json").exit_code == 0
        found.append(json.loads((place / "plan.json").read_text()))
    assert found[1]["frames"] == 2
    assert found[1]["joules"]["dynamic"]["typical"] == pytest.approx(2 * found[0]["joules"]["dynamic"]["typical"])
    assert found[1]["seconds"]["interval"]["typical"] == pytest.approx(2 * found[0]["seconds"]["interval"]["typical"])
    assert "no multiple of the 3" in refused(run(*asked, "--steps", 3))


def test_a_measured_time_of_a_step_gives_loihi_2_its_static_energy(place: Path) -> None:
    asked = (place / "network.nir", "--chip", "loihi2", "--frames", place / "frames.npy", "--out", place / "plan.json")
    result = run(*asked)
    assert result.exit_code == 0
    assert "no energy of an operation is published" in result.output
    assert json.loads((place / "plan.json").read_text())["joules"] == {"dynamic": None, "static": None, "units": None}
    assert run(*asked, "--step-time", 100).exit_code == 0
    static = json.loads((place / "plan.json").read_text())["joules"]["static"]
    assert static["typical"] == pytest.approx(0.232 * 100e-6)
    assert "expected microseconds above 0" in refused(run(*asked, "--step-time", 0))


def test_pictures_of_a_folder_are_frames_in_the_order_of_their_names(tmp_path: Path) -> None:
    save(chain(PIXELS), tmp_path / "network.nir")
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, level in (("a.png", 255), ("b.png", 0), ("c.png", 128)):
        Image.new("RGB", (40, 30), (level, level, level)).save(folder / name)
    (folder / "notes.txt").write_text("no frame")
    from pipeline.planning.frames import read_frames

    frames = read_frames(folder, chain(PIXELS))["frame"]
    assert frames.shape == (3, 3, 16, 16)
    assert [np.unique(frame).tolist() for frame in frames] == [[15], [-16], [0]]
    result = run(tmp_path / "network.nir", "--chip", "loihi2", "--frames", folder)
    assert result.exit_code == 0, result.output


def test_pictures_reach_the_ends_of_a_range_of_many_bits(tmp_path: Path) -> None:
    Image.new("RGB", (16, 16), (255, 255, 255)).save(tmp_path / "white.png")
    from pipeline.planning.frames import read_frames

    frames = read_frames(tmp_path, chain(Range(0, (1 << 26) - 1)))["frame"]
    assert np.unique(frames).tolist() == [255 << 18]


def test_two_chips_of_one_name_are_refused_as_their_files_would_be_one() -> None:
    from pipeline.planning.plan import make_plans

    with pytest.raises(MonospikeError, match="two have the same name"):
        make_plans(chain(SPIKING), {}, Recording("engine", {}, {}), ("loihi2", "mine/loihi2.yaml"))


def test_a_network_that_does_not_fit_is_priced_all_the_same_and_ends_with_1(tmp_path: Path) -> None:
    save(chain(PIXELS), tmp_path / "network.nir")
    np.save(tmp_path / "frames.npy", np.random.default_rng(0).integers(-16, 16, (2, 3, 16, 16)))
    asked = (tmp_path / "network.nir", "--chip", "loihi1_sanafe", "--frames", tmp_path / "frames.npy")
    result = run(*asked, "--out", tmp_path / "plan.json")
    assert result.exit_code == 1
    assert "graded spikes: layer 'conv'" in result.output
    plan = json.loads((tmp_path / "plan.json").read_text())
    assert not plan["fits"]
    assert plan["unpriced"]["graded_synops"] > 0
    assert any("missing from energy and time" in warning for warning in plan["warnings"])


def test_frames_of_nothing_are_priced_with_a_word_of_warning(place: Path) -> None:
    np.save(place / "dark.npy", np.zeros((2, 3, 16, 16), np.uint8))
    result = run(place / "network.nir", "--chip", "loihi1_sanafe", "--frames", place / "dark.npy")
    assert result.exit_code == 0
    assert "every value of input 'frame' is zero" in result.output
    assert "0 spikes, 0 synops, 0 messages" in result.output


def test_a_step_that_takes_no_time_has_no_rate(place: Path) -> None:
    np.save(place / "dark.npy", np.zeros((2, 3, 16, 16), np.uint8))
    chip = yaml.safe_load((Path(sim.hardware.__file__).parent / "loihi1_davies2018.yaml").read_text())
    synops = [entry for entry in chip["mapped"]["operations"] if entry["count"] == "synops"]
    chip["mapped"] |= {"operations": synops, "barrier": []}
    (place / "mine.yaml").write_text(yaml.safe_dump(chip))
    result = run(place / "network.nir", "--chip", place / "mine.yaml", "--frames", place / "dark.npy")
    assert result.exit_code == 0, result.output
    assert "time step 0 ps" in result.output
    assert "frames a second" not in result.output


def test_a_folder_without_frames_is_refused(place: Path) -> None:
    (place / "empty").mkdir()
    asked = (place / "network.nir", "--chip", "loihi2", "--frames")
    assert "holds no frames" in refused(run(*asked, place / "empty"))
    np.save(place / "none.npy", spikes(0))
    assert "holds no frame" in refused(run(*asked, place / "none.npy"))
    assert "there is no such file" in refused(run(*asked, place / "nowhere"))


@pytest.mark.parametrize(
    ("limit", "value", "said"),
    [
        ("neurons", 0, "greater than or equal to 1"),
        ("synapse_words", 10**12, "less than or equal to"),
        ("cores", 7, "mesh has 128"),
        ("cores", 1 << 24, "16777216 are more than 65536"),
    ],
)
def test_a_chip_with_absurd_limits_is_refused_with_file_and_key(place: Path, limit: str, value: int, said: str) -> None:
    chip = yaml.safe_load((Path(sim.hardware.__file__).parent / "loihi1_davies2018.yaml").read_text())
    chip["limits"][limit]["value"] = value
    path = place / "mine.yaml"
    path.write_text(yaml.safe_dump(chip))
    message = refused(run(place / "network.nir", "--chip", path, "--frames", place / "frames.npy"))
    assert str(path) in message
    assert said in message


def test_a_chip_without_limits_or_too_small_for_any_layer_is_refused(place: Path) -> None:
    asked = (place / "network.nir", "--frames", place / "frames.npy", "--chip")
    assert "has no limits to map by" in refused(run(*asked, "horowitz_45nm_fp32"))
    chip = yaml.safe_load((Path(sim.hardware.__file__).parent / "loihi1_davies2018.yaml").read_text())
    chip["limits"]["synapse_words"]["value"] = 1
    (place / "tiny.yaml").write_text(yaml.safe_dump(chip))
    assert "not one layer fits on a core" in refused(run(*asked, place / "tiny.yaml"))
