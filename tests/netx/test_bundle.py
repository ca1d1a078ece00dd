"""What the reader says about a network's folder that is not right."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netx import LIF, Conv2d, Correlation, FormatError, Input, Layer, Network, Shape, SigmaDelta
from netx.bundle import load, parts, save

WEIGHT = np.full((1, 1, 1, 1), 2)
NETWORK = Network(
    (Input("search", Shape(1, 4, 4)), Input("template", Shape(1, 2, 2))),
    (
        Layer("search_conv", ("search",), Conv2d(WEIGHT), LIF(1)),
        Layer("template_conv", ("template",), Conv2d(WEIGHT), LIF(1)),
        Layer("match", ("search_conv", "template_conv"), Correlation(2), LIF(5, [3])),
    ),
    ("match",),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(NETWORK, tmp_path / "network")
    return tmp_path / "network"


def test_the_manifest_describes_the_glue_with_its_integers(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["glue"] == [
        {
            "name": "match",
            "inputs": ["search_conv", "template_conv"],
            "synapse": "Correlation",
            "gain": 2,
            "copies": 1,
            "neuron": {
                "type": "LIF",
                "bias": [3],
                "threshold": 5,
                "bias_exponent": 6,
                "current_decay": 4096,
                "voltage_decay": 4096,
            },
        }
    ]
    assert load(folder) == NETWORK


def at(*place: str | int) -> Callable[[Any, Any], None]:
    """Sets, or with None deletes, the value at a place of the manifest."""

    def change(content: Any, value: Any) -> None:
        for key in place[:-1]:
            content = content[key]
        if value is None:
            del content[place[-1]]
        else:
            content[place[-1]] = value

    return change


@pytest.mark.parametrize(
    ("place", "value", "complaint"),
    [
        (at("monospike_network"), 2, "is not the manifest of a network"),
        (at("parts"), None, "parts: expected a list of objects"),
        (at("parts", 0), "x", "parts: expected a list of objects"),
        (at("parts", 0, "file"), "../other.net", r"parts\[0\]\.file: '\.\./other\.net' is not the name"),
        (at("parts", 0, "file"), "/etc/passwd", r"parts\[0\]\.file: '/etc/passwd' is not the name"),
        (at("parts", 0, "file"), "gone.net", r"parts\[0\]\.file: 'gone\.net' is missing"),
        (at("parts", 0, "file"), 3, r"parts\[0\]\.file: expected text, got 3"),
        (at("parts", 0, "layers"), [], r"parts\[0\]\.layers: is empty"),
        (at("parts", 0, "layers"), [1], r"parts\[0\]\.layers: expected a list of names"),
        (at("parts", 1), None, "do not agree about template_conv"),
        (at("layers"), ["match"], "do not agree about search_conv, template_conv"),
        (at("layers"), ["match", "search_conv", "template_conv"], "layer 'match'.*neither an input nor an earlier"),
        (at("outputs"), ["nothing"], "output 'nothing' is not a layer"),
        (at("inputs", 0, "shape"), [1, 2], r"inputs\[0\]: expected shape"),
        (at("inputs", 0, "shape"), [1, 2, 0.5], r"inputs\[0\]\.shape: expected integers"),
        (at("inputs", 0, "name"), "photo", "its input 'search' is neither"),
        (at("glue", 0, "gain"), 1000, r"glue\[0\]: gain: expected an integer in 1\.\.255"),
        (at("glue", 0, "gain"), True, r"glue\[0\]\.gain: expected integers"),
        (at("glue", 0, "copies"), None, r"glue\[0\]\.copies: expected integers"),
        (at("glue", 0, "synapse"), "Dropout", r"glue\[0\]\.synapse: 'Dropout' is not known"),
        (at("glue", 0, "neuron"), None, r"glue\[0\]: layer 'match': Correlation cannot have no neuron"),
        (at("glue", 0, "neuron", "type"), "RF", r"glue\[0\]\.neuron\.type: 'RF' is not a neuron"),
        (at("glue", 0, "neuron", "threshold"), 1 << 40, r"glue\[0\]\.neuron\.threshold: expected integers of"),
    ],
)
def test_a_wrong_manifest_is_refused_with_the_place(
    place: Callable[[Any, Any], None], value: Any, complaint: str, folder: Path
) -> None:
    content = json.loads((folder / "manifest.json").read_text())
    place(content, value)
    (folder / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(FormatError, match=f"manifest\\.json: .*{complaint}"):
        load(folder)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "[]", "\ud800"])
def test_a_manifest_that_is_no_json_object_is_refused(text: str, folder: Path) -> None:
    (folder / "manifest.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(FormatError, match=r"manifest\.json: is not"):
        load(folder)


def test_a_part_for_other_layers_or_another_input_is_refused(folder: Path) -> None:
    content = json.loads((folder / "manifest.json").read_text())
    content["inputs"][0]["range"] = [0, 5]
    (folder / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(FormatError, match=r"0_search_conv\.net: does not hold the layers or the input"):
        load(folder)


def test_a_part_that_is_a_link_out_of_the_folder_is_refused(folder: Path) -> None:
    part = parts(folder)[0].file
    part.rename(folder.parent / "elsewhere.net")
    part.symlink_to(folder.parent / "elsewhere.net")
    with pytest.raises(FormatError, match=r"is not the name of a \.net or \.nir file in this folder"):
        load(folder)


def test_a_damaged_part_is_named(folder: Path) -> None:
    part = parts(folder)[1].file
    part.write_bytes(part.read_bytes()[:1000])
    with pytest.raises(FormatError, match=r"1_template_conv\.net: is not a whole HDF5 file"):
        load(folder)


def test_folders_and_files_of_other_kinds_are_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("notes")
    with pytest.raises(FormatError, match=r"notes\.txt: is not a \.net or \.nir file"):
        load(tmp_path / "notes.txt")
    with pytest.raises(FormatError, match="there is no such file or folder"):
        load(tmp_path / "none")
    with pytest.raises(FormatError, match=r"manifest\.json: cannot be read"):
        load(tmp_path)


def test_a_network_of_several_chains_does_not_fit_into_one_file(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"all\.net: .*has 2 inputs"):
        save(NETWORK, tmp_path / "all.net")


def test_when_one_chain_cannot_be_written_the_earlier_folder_stays(folder: Path) -> None:
    remembers = Layer("slow", ("x",), Conv2d(WEIGHT), LIF(1, current_decay=1))
    with pytest.raises(FormatError, match="'slow' remembers"):
        save(Network((Input("x", Shape(1, 1, 1)),), (remembers,), ("slow",)), folder, format="nir")
    assert load(folder) == NETWORK
    assert [path.name for path in folder.parent.iterdir()] == ["network"]


@pytest.mark.parametrize("neuron", [LIF(5, reset_interval=2), LIF(5, refractory=1), SigmaDelta(5)])
def test_neurons_of_a_correlation_that_the_manifest_has_no_place_for_are_refused(neuron: Any, tmp_path: Path) -> None:
    inputs = (Input("search", Shape(1, 4, 4)), Input("template", Shape(1, 2, 2)))
    network = Network(inputs, (Layer("match", ("search", "template"), Correlation(2), neuron),), ("match",))
    with pytest.raises(FormatError, match=r"'match' .* not written"):
        save(network, tmp_path / "network")
    assert list(tmp_path.iterdir()) == []
