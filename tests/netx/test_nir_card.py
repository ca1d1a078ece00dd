"""The card beside exported .nir files: true to the files, and careful with what people have filled in."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import nir
import numpy as np
import pytest

from netx import LIF, Accumulator, Conv2d, Dense, Flatten, FormatError, Input, Layer, Network, Range, Shape
from netx.export import export
from netx.fingerprint import fingerprint
from netx.nir_card import CARD


def network() -> Network:
    layers = (
        Layer("conv", ("pixels",), Conv2d(np.ones((2, 1, 3, 3), int)), LIF(3, [1, 2])),
        Layer("flat", ("conv",), Flatten()),
        Layer("out", ("flat",), Dense(np.ones((4, 18), int)), Accumulator()),
    )
    return Network((Input("pixels", Shape(1, 5, 5), Range(0, 7)),), layers, ("out",))


def card(folder: Path) -> dict:
    return json.loads((folder / CARD).read_text())


def test_it_says_what_the_file_holds(tmp_path: Path) -> None:
    export(network(), tmp_path / "a.nir", "norse")
    (entry,) = card(tmp_path)["files"]
    assert entry["file"] == "a.nir"
    assert entry["sha256"] == hashlib.sha256((tmp_path / "a.nir").read_bytes()).hexdigest()
    assert entry["fingerprint"] == fingerprint(network())
    assert entry["nir_version"] == "1.0.8"
    assert entry["inputs"] == [{"name": "pixels", "shape": [1, 5, 5], "range": [0, 7]}]
    assert entry["outputs"] == [{"name": "out", "shape": [4, 1, 1]}]
    assert entry["neuron_types"] == {"LIF": 1}
    assert entry["linear_ops"] == {"Conv2d": 2}
    assert entry["neurons"] == 2 * 9 + 4
    # Weights and biases of both convolutions, and tau, r, v_leak, v_reset and v_threshold of 18 neurons.
    assert entry["parameters"] == (18 + 2) + (4 * 18 + 4) + 5 * 18
    assert (entry["nodes"], entry["edges"]) == (len(nir.read(tmp_path / "a.nir").nodes), 4)
    assert entry["written_for"] == ["norse"]


def test_what_people_filled_in_stays_and_files_that_are_gone_leave(tmp_path: Path) -> None:
    for name in ("a.nir", "b.nir"):
        export(network(), tmp_path / name, "norse")
    content = card(tmp_path)
    content["licence"], content["authors"] = "CC0-1.0", ["me"]
    (tmp_path / CARD).write_text(json.dumps(content))
    (tmp_path / "a.nir").unlink()
    foreign = {"i": nir.Input(np.array([1])), "o": nir.Output(np.array([1]))}
    nir.write(tmp_path / "foreign.nir", nir.NIRGraph(foreign, [("i", "o")]))
    (tmp_path / "broken.nir").write_bytes(b"no HDF5")
    export(network(), tmp_path / "c.nir", "sinabs")
    after = card(tmp_path)
    assert (after["licence"], after["authors"]) == ("CC0-1.0", ["me"])
    written = {entry["file"]: entry["written_for"] for entry in after["files"]}
    assert written == {"b.nir": ["norse"], "c.nir": ["sinabs"]}


def test_a_folder_has_one_for_all_its_chains_and_keeps_it(tmp_path: Path) -> None:
    layers = (*network().layers, Layer("other", ("pixels",), Conv2d(np.ones((1, 1, 3, 3), int)), LIF(3)))
    both = Network(network().inputs, layers, ("out", "other"))
    export(both, tmp_path / "folder", "norse")
    content = card(tmp_path / "folder")
    assert len(content["files"]) == 2
    content["tags"] = ["toy"]
    (tmp_path / "folder" / CARD).write_text(json.dumps(content))
    export(both, tmp_path / "folder", "norse")
    assert card(tmp_path / "folder")["tags"] == ["toy"]


def test_lava_gets_none(tmp_path: Path) -> None:
    export(network(), tmp_path / "a.net", "lava")
    assert not (tmp_path / CARD).exists()


@pytest.mark.parametrize("content", ["[]", "{", '{"files": 3}'])
def test_something_else_of_that_name_is_left_alone(content: str, tmp_path: Path) -> None:
    (tmp_path / CARD).write_text(content)
    with pytest.raises(FormatError, match="move it away"):
        export(network(), tmp_path / "a.nir", "norse")
    assert (tmp_path / CARD).read_text() == content
    assert not (tmp_path / "a.nir").exists()
