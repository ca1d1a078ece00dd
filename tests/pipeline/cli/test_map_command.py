"""``monospike map`` as a user meets it."""

from __future__ import annotations

import json
import xml.etree.ElementTree as Tree
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner, Result

from netx import LIF, Conv2d, Correlation, Dense, Flatten, Input, Layer, MonospikeError, Network, Range, Shape
from netx.bundle import save
from pipeline.cli.app import app
from sim.hardware import load_chip
from sim.mapping import Mapping

RNG = np.random.default_rng(0)


def even(*shape: int) -> np.ndarray:
    return RNG.integers(-60, 90, shape) * 2


def chain(side: int = 20) -> Network:
    return Network(
        (Input("frame", Shape(2, side, side)),),
        (
            Layer("conv", ("frame",), Conv2d(even(8, 2, 3, 3), padding=1), LIF(101)),
            Layer("flat", ("conv",), Flatten()),
            Layer("dense", ("flat",), Dense(even(10, 8 * side * side)), LIF(101)),
        ),
        ("dense",),
    )


def siamese() -> Network:
    shared = Conv2d(even(8, 2, 3, 3))
    return Network(
        (Input("template", Shape(2, 8, 8)), Input("search", Shape(2, 20, 20), Range(-16, 15))),
        (
            Layer("template_conv", ("template",), shared, LIF(101)),
            Layer("search_conv", ("search",), shared, LIF(101)),
            Layer("match", ("search_conv", "template_conv"), Correlation(2), LIF(11)),
        ),
        ("match",),
    )


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["map", *map(str, words)])


@pytest.mark.parametrize("name", ["network.net", "network.nir", "folder"])
def test_a_network_is_mapped_from_every_kind_of_file(tmp_path: Path, name: str) -> None:
    save(chain(), tmp_path / name)
    result = run(tmp_path / name, "--chip", "loihi2", "--out", tmp_path / "map.json", "--svg", tmp_path / "map.svg")
    assert result.exit_code == 0, result.output
    content = json.loads((tmp_path / "map.json").read_text())
    assert [layer["neurons"] for layer in content["layers"]] == [8 * 20 * 20, 10]
    assert content["violations"] == []
    assert f"{content['cores']} cores of 1 x loihi2" in result.output
    assert Tree.parse(tmp_path / "map.svg").getroot().tag.endswith("svg")


def test_a_siamese_network_is_mapped_before_its_template_is_known(tmp_path: Path) -> None:
    save(siamese(), tmp_path / "folder")
    result = run(tmp_path / "folder", "--chip", "loihi2")
    assert result.exit_code == 0, result.output
    assert "match" in result.output


def test_a_network_that_does_not_fit_ends_with_1_says_what_would_help_and_is_written_all_the_same(
    tmp_path: Path,
) -> None:
    save(chain(64), tmp_path / "network.net")
    out = tmp_path / "map.json"
    result = run(tmp_path / "network.net", "--chip", "loihi2", "--out", out)
    assert result.exit_code == 1
    [axons, memory] = Mapping.load(out).violations
    assert f"{axons.rule}: {axons.where}: {axons.mend}" in result.output
    assert (axons.rule, memory.rule) == ("fan-in axons", "fan-in memory")


def test_more_chips_can_be_had_and_cores_placed_by_the_spikes_of_frames(tmp_path: Path) -> None:
    described = load_chip("loihi2").model_dump(mode="json")
    described["limits"]["neurons"]["value"] = 30
    described["limits"]["cores"]["value"] = 32
    described["mesh"] |= {"columns": 4, "rows": 2}
    chip = tmp_path / "small.yaml"
    chip.write_text(yaml.safe_dump(described))
    save(chain(12), tmp_path / "network.nir")
    np.save(tmp_path / "frames.npy", RNG.integers(0, 2, (3, 2, 12, 12)))
    assert run(tmp_path / "network.nir", "--chip", chip).exit_code == 1
    placed = tmp_path / "placed.json"
    result = run(
        tmp_path / "network.nir",
        "--chip",
        chip,
        "--chips",
        2,
        "--place",
        "--input",
        tmp_path / "frames.npy",
        "--out",
        placed,
    )
    assert result.exit_code == 0, result.output
    assert "message hops a frame" in result.output
    assert " row by row: " in result.output
    assert " greedily: " in result.output
    mapping = Mapping.load(placed)
    assert mapping.chip == "small"
    assert run(tmp_path / "network.nir", "--chip", "loihi2", "--chips", 1000, "--place").exit_code == 0
    assert len(mapping.cores) > 32
    assert max(mapping.placement) < 64


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--chip", "loihi9"], "no chip is called 'loihi9'"),
        (["--chip", "horowitz_45nm_int8"], "has no limits"),
        (["--chip", "absent.yaml"], "absent.yaml: cannot be read"),
        (["--chip", "loihi2", "--input", "frames.npy"], "--input: is what --place goes by"),
    ],
)
def test_wrong_options_are_named(tmp_path: Path, words: list[str], message: str) -> None:
    save(chain(), tmp_path / "network.net")
    result = run(tmp_path / "network.net", *words)
    assert isinstance(result.exception, MonospikeError)
    assert message in str(result.exception)


def test_a_missing_network_is_named(tmp_path: Path) -> None:
    result = run(tmp_path / "absent.net", "--chip", "loihi2")
    assert isinstance(result.exception, MonospikeError)
    assert "absent.net" in str(result.exception)
