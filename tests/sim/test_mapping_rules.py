"""The rules that a mapping names, what binds it, its file and its picture."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mapped_chains import chain, conv, cores, dense, even_weights, on, small

from netx import (
    LIF,
    Accumulator,
    Concat,
    Conv2d,
    Correlation,
    Flatten,
    FormatError,
    Input,
    Layer,
    MonospikeError,
    Network,
    Pool,
    Range,
    Recurrent,
    Shape,
)
from sim.hardware import load_chip
from sim.mapping import Mapping, map_network
from sim.mapping.drawing import chip_svg


def test_a_neuron_that_needs_more_than_a_core_is_said_so_and_the_rest_is_mapped() -> None:
    network = chain(Shape(16, 40, 40), conv(16, 16), dense(16 * 40 * 40, 10))
    mapping = on("loihi2", network)
    rules = {violation.rule: violation for violation in mapping.violations}
    assert set(rules) == {"fan-in axons", "fan-in memory"}
    assert "25600 axons, a core of loihi2 has 16000" in rules["fan-in axons"].mend
    assert rules["fan-in axons"].where == "layer 'b', every neuron"
    assert cores(mapping)[0] > 0
    assert cores(mapping)[1] == 0


def test_all_broken_rules_are_listed_not_only_the_first() -> None:
    odd = Conv2d(np.array([-256, 255] * 9).reshape(2, 1, 3, 3))
    network = Network(
        (Input("input", Shape(1, 300, 300), Range(-128, 127)),),
        (
            Layer("first", ("input",), odd, LIF(1, bias=np.array([0, 5000]))),
            Layer("second", ("first",), conv(2, 16), LIF(1)),
        ),
        ("second",),
    )
    on_loihi_1 = on("loihi1_davies2018", network)
    assert [v.rule for v in on_loihi_1.violations] == ["graded spikes", "weight bits", "bias", "cores"]
    assert on_loihi_1.violations[2].where == "layer 'first', channel 1"
    assert [v.rule for v in on("loihi2", network).violations] == [
        "weight bits",
        "convolution width",
        "bias",
        "convolution width",
        "cores",
    ]


def test_grouped_pooled_recurrent_and_joined_layers_are_mapped_too() -> None:
    network = Network(
        (Input("input", Shape(4, 16, 16)), Input("template", Shape(8, 3, 3))),
        (
            Layer("shown", ("template",), Pool((1, 1), (1, 1), weight=2), LIF(1)),
            Layer("wide", ("input",), conv(4, 8), LIF(1)),
            Layer("pooled", ("wide",), Pool((2, 2), (2, 2), weight=2), LIF(1)),
            Layer("depth", ("wide",), Conv2d(even_weights((8, 1, 2, 2)), 2, groups=8), LIF(1)),
            Layer("match", ("wide", "shown"), Correlation(2, copies=2), LIF(1)),
            Layer("both", ("pooled", "depth"), Concat()),
            Layer("flat", ("both",), Flatten()),
            Layer("again", ("flat",), Recurrent(dense(1024, 20), dense(20, 20)), LIF(1)),
            Layer("out", ("again",), dense(20, 2), Accumulator()),
        ),
        ("out", "match"),
    )
    mapping = on("loihi2", network)
    assert mapping.fits
    words = {layer.name: layer.synapse_words for layer in mapping.layers}
    # One list for each input channel and tap, of the outputs it reaches: here one channel, or two copies of it.
    assert words["pooled"] == words["depth"] == 8 * 4
    assert words["match"] == 8 * 9
    # 20 synapses of 8 + 12 bits and a header of 4 are 7 words, from 1024 inputs and the 20 neurons themselves.
    assert words["again"] == (1024 + 20) * 7
    assert on("loihi1_davies2018", network).fits


def test_loihi_1_cores_send_once_to_every_core_that_reads_them() -> None:
    # 600 neurons to 1000: 600 axons of 16 blocks (64 * 8 + 10 bits are 9 words) exceed 16384 words many times.
    mapping = on("loihi1_davies2018", chain(Shape(10, 1, 1), dense(10, 600), dense(600, 1000)))
    [first] = mapping.of_layer("a")
    assert first.axons_out == 600 * len(mapping.of_layer("b")) <= 4096


@pytest.mark.parametrize(
    ("limit", "value", "binding"),
    [("neurons", 100, "neurons"), ("synapse_words", 130, "synapse_words"), ("axons_out", 30, "axons_out")],
)
def test_what_is_scarce_binds_and_is_named(limit: str, value: int, binding: str) -> None:
    network = chain(Shape(2, 16, 16), conv(2, 64), conv(64, 4))
    mapping = map_network(network, small(load_chip("loihi2"), **{limit: value}), "small")
    assert mapping.layers[0].binding == binding
    assert all(core.utilisation <= 1 for core in mapping.of_layer("a"))


def test_a_chip_without_limits_cannot_be_mapped_on() -> None:
    with pytest.raises(MonospikeError, match=r"horowitz_45nm_int8: has no limits.*loihi2"):
        on("horowitz_45nm_int8", chain(Shape(4, 1, 1), dense(4, 2)))


def test_a_mapping_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    mapping = on("loihi2", chain(Shape(2, 32, 32), conv(2, 16), conv(16, 512), dense(512 * 32 * 32, 2)))
    mapping = mapping.placed(reversed(range(len(mapping.cores))))
    path = tmp_path / "mapping.json"
    mapping.save(path)
    assert Mapping.load(path) == mapping
    content = json.loads(path.read_text())
    assert content["chip"] == "loihi2"
    assert content["cores"] == sum(layer["cores"] for layer in content["layers"])
    assert set(content["layers"][0]) == {"name", "cores", "neurons", "synapse_words", "binding"}
    assert set(content["violations"][0]) == {"rule", "where", "mend"}


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"monospike_mapping": 2}', '{"monospike_mapping": 1, "assignment": [3]}']
)
def test_what_is_no_mapping_is_refused_with_its_path(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mapping.json"
    path.write_text(text)
    with pytest.raises(FormatError, match=r"mapping\.json: is not a mapping"):
        Mapping.load(path)


def test_the_picture_shows_every_core_of_the_chip_and_names_every_layer() -> None:
    import xml.etree.ElementTree as Tree

    mapping = on("loihi2", chain(Shape(2, 32, 32), conv(2, 32), conv(32, 16)))
    mesh = load_chip("loihi2").mesh
    assert mesh is not None
    picture = Tree.fromstring(chip_svg(mapping, mesh))
    space = "{http://www.w3.org/2000/svg}"
    tips = [title.text or "" for title in picture.findall(f"{space}g/{space}title")]
    assert len(tips) == len(mapping.cores)
    # One outline for each of 128 sites, one filling for each core in use, one square for each layer of the legend.
    assert len(picture.findall(f".//{space}rect")) == 128 + len(mapping.cores) + 2
    legend = [text.text or "" for text in picture.findall(f"{space}text")]
    assert any(text.startswith(f"a: {len(mapping.layers[0].cores)} cores") for text in legend)


def test_equal_networks_map_equally_and_nothing_depends_on_names() -> None:
    network = chain(Shape(2, 32, 32), conv(2, 16), conv(16, 16))
    assert on("loihi2", network) == on("loihi2", network)
    renamed = Network(
        network.inputs, (replace(network.layers[0], name="x"), replace(network.layers[1], inputs=("x",))), ("b",)
    )
    assert cores(on("loihi2", renamed)) == cores(on("loihi2", network))
