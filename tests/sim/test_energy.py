"""Prices against numbers worked out by hand from the published constants."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

import sim.hardware
from netx import LIF, Conv2d, FormatError, Input, Layer, MonospikeError, Network, Range, Shape
from sim.activity import COUNTS, Activity, LayerActivity, count
from sim.energy import Price, load_profile, price, profile_names
from sim.engine import run
from sim.hardware import load_chip

PICO = 1e-12


def layer(name: str = "layer", **counts: int) -> LayerActivity:
    """A layer with the given counts in its only frame, and zeros for the others."""
    return LayerActivity(name, 1, **{name: np.array([counts.get(name, 0)]) for name in COUNTS})


def priced(profile: str, *layers: LayerActivity) -> Price:
    return price(Activity(1, layers), load_profile(profile))


def test_fp32_reproduces_the_rule_of_the_literature_on_a_network_counted_by_hand() -> None:
    # Two layers on 4x4 pixels. First: two 3x3 kernels on graded pixels, no padding: 2x2 outputs, 2*4*9 = 72 MAC.
    # All pixels one and all weights 2 make every first-layer membrane 18 > 1, so 2*2*2 = 8 spikes; each of them
    # reaches both kernels of a 1x1 convolution: 16 AC.  E = 4.6 pJ * 72 + 0.9 pJ * 16 = 345.6 pJ.
    network = Network(
        (Input("frame", Shape(1, 4, 4), Range(0, 15)),),
        (
            Layer("first", ("frame",), Conv2d(np.full((2, 1, 3, 3), 2)), LIF(1)),
            Layer("second", ("first",), Conv2d(np.full((2, 2, 1, 1), 2)), LIF(1)),
        ),
        ("second",),
    )
    frames = {"frame": np.ones((3, 1, 4, 4), int)}
    result = price(count(network, frames, run(network, frames)), load_profile("horowitz_45nm_fp32"))
    assert result.total.low == pytest.approx((4.6 * 72 + 0.9 * 16) * PICO)
    # Typical adds two operations for each of 8 + 8 neurons; high one 5 pJ read for each of 72 + 16 weights.
    assert result.total.typical == pytest.approx(result.total.low + 0.9 * 2 * 16 * PICO)
    assert result.total.high == pytest.approx(result.total.typical + 5.0 * (72 + 16) * PICO)
    assert result.by_layer()["second"].low == pytest.approx(0.9 * 16 * PICO)
    # The conventional network multiplies in both layers: 72 + 4*4 = 88 MAC.
    assert result.ann is not None
    assert result.ann.low == pytest.approx(4.6 * (72 + 16) * PICO)


def test_int8_adds_in_8_bits_at_the_low_end_and_in_32_bits_otherwise() -> None:
    result = priced("horowitz_45nm_int8", layer(synops=1000, effective_synops=600, macs=200, neuron_updates=10))
    assert result.total.low == pytest.approx((600 * 0.03 + 200 * 0.23) * PICO)
    assert result.total.typical == pytest.approx((1000 * 0.1 + 200 * 0.3 + 10 * 0.2) * PICO)


def test_loihi_charges_synops_updates_and_messages_as_published() -> None:
    busy = layer(
        synops=100, effective_synops=80, neuron_updates=10, active_updates=4, inactive_updates=6, messages=5, macs=7
    )
    result = priced("loihi1_davies2018", busy)
    assert result.total.low == pytest.approx((23.6 * 80 + 52 * 10) * PICO)
    assert result.total.typical == pytest.approx((23.6 * 100 + 81 * 4 + 52 * 6 + 1.7 * 5) * PICO)
    assert result.total.high == pytest.approx((23.6 * 100 + 81 * 10 + (1.7 + 3.5) * 5) * PICO)
    assert result.unpriced == {"macs": 7.0}
    assert result.ann is None


@pytest.mark.parametrize("name", profile_names())
def test_layers_and_terms_both_add_up_to_the_total_and_estimates_are_ordered(name: str) -> None:
    rng = np.random.default_rng(0)
    synops, neurons = rng.integers(50, 1000, 3), rng.integers(50, 1000, 3)
    layers = [
        layer(
            f"layer{i}",
            synops=s,
            effective_synops=s - 20,
            neuron_updates=n,
            active_updates=n - 30,
            inactive_updates=30,
            spikes=9,
            messages=40,
            macs=60,
            dense_macs=5000,
        )
        for i, (s, n) in enumerate(zip(synops, neurons, strict=True))
    ]
    result = priced(name, *layers)
    np.testing.assert_allclose(np.sum(list(result.by_layer().values()), axis=0), result.total)
    np.testing.assert_allclose(np.sum(list(result.by_term().values()), axis=0), result.total)
    assert 0 < result.total.low < result.total.typical < result.total.high


@pytest.mark.parametrize("name", profile_names())
def test_every_constant_names_its_source_and_the_profile_says_what_it_leaves_out(name: str) -> None:
    profile = load_profile(name)
    assert "Static power" in profile.note
    assert all(constant.source for constant in profile.constants.values())


def test_an_unknown_profile_is_named_with_those_that_exist() -> None:
    with pytest.raises(MonospikeError, match=r"'loihi9'.*horowitz_45nm_fp32"):
        load_profile("loihi9")


def broken(tmp_path: Path, **changes: object) -> Path:
    """A valid chip file with the add constant's fields changed; None removes a field."""
    content = load_chip("horowitz_45nm_fp32").model_dump(mode="json")
    content["energies"]["add"].update(changes)
    content["energies"]["add"] = {key: value for key, value in content["energies"]["add"].items() if value is not None}
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_a_profile_of_ones_own_is_read_from_its_path(tmp_path: Path) -> None:
    assert load_profile(broken(tmp_path, picojoules=7.5)).constants["add"].picojoules == 7.5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"picojoules": -1.0}, r"energies\.add\.picojoules: .*greater than or equal to 0"),
        ({"picojoules": "cheap"}, r"energies\.add\.picojoules"),
        ({"picojoules": float("nan")}, "line [0-9]+: .*no finite number"),
        ({"source": None}, r"energies\.add\.source: Field required"),
        ({"source": ""}, r"energies\.add\.source"),
        ({"via": None}, r"energies\.add: .*via"),
        ({"colour": "red"}, r"energies\.add\.colour: Extra inputs"),
        ({"read": "third-hand"}, r"energies\.add\.read"),
    ],
)
def test_a_broken_constant_is_refused_with_file_and_place(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    path = broken(tmp_path, **changes)
    with pytest.raises(FormatError, match=message) as error:
        load_profile(path)
    assert str(error.value).startswith(str(path))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("constant: add,", "constant: adder,", "constants that are not there: adder"),
        ("low: effective_synops", "low: synopses", r"estimate\.terms\.0\.low"),
        ("title:", "titel:", "titel: Extra inputs"),
        ("scope:", "scope: [", "line [0-9]+: is not YAML"),
    ],
)
def test_a_broken_profile_is_refused_with_the_place(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = (Path(sim.hardware.__file__).parent / "horowitz_45nm_fp32.yaml").read_text()
    path = tmp_path / "mine.yaml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(FormatError, match=message):
        load_profile(path)


def test_a_missing_or_binary_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="cannot be read"):
        load_profile(tmp_path / "absent.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FormatError, match="is not YAML"):
        load_profile(tmp_path / "binary.yaml")
