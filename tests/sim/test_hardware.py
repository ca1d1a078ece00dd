"""Chips as data: values by what the sources print, and clear words for files that cannot be right."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from netx import FormatError, MonospikeError
from sim.energy import load_profile
from sim.hardware import chip_names, load_chip


def content(name: str) -> dict[str, Any]:
    """A chip of the package as the mapping that its YAML is."""
    return load_chip(name).model_dump(mode="json")


def written(tmp_path: Path, described: dict[str, Any]) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(described))
    return path


def test_loihi_1_is_what_davies_published() -> None:
    chip = load_chip("loihi1_davies2018")
    assert chip.energies["synaptic_operation"].picojoules == 23.6
    assert chip.energies["hop_east_west"].picojoules == 3.0
    assert chip.latencies["active_update"].nanoseconds == 8.4
    assert chip.limits is not None
    # 16384 words of 64 bits are the 128 KiB of a core.
    assert chip.limits.synapse_words.value * 64 == 128 * 1024 * 8


def test_the_calibrated_loihi_1_is_the_same_hardware_at_other_prices() -> None:
    before, after = load_chip("loihi1_davies2018"), load_chip("loihi1_sanafe")
    assert (after.limits, after.mesh, after.packing) == (before.limits, before.mesh, before.packing)
    assert after.energies["dense_operation"].picojoules == 35.5
    assert after.latencies["barrier_29_tiles"].nanoseconds == 1800


def test_loihi_2_has_measured_systems_but_no_invented_energies() -> None:
    chip = load_chip("loihi2")
    assert chip.energies == {}
    assert chip.estimate is None
    assert any(figure.unit == "mJ" and figure.low is not None for figure in chip.measured)
    assert chip.limits is not None
    assert (chip.limits.synapse_words.value, chip.limits.synapse_words.high) == (12000, 16000)
    with pytest.raises(MonospikeError, match="loihi2: has no energies"):
        load_profile("loihi2")


@pytest.mark.parametrize("name", chip_names())
def test_every_fact_says_where_it_was_read_and_second_hand_ones_by_whom(name: str) -> None:
    chip = load_chip(name)
    facts = [*chip.energies.values(), *chip.latencies.values(), *chip.measured]
    if chip.limits is not None:
        facts += [fact for _, fact in chip.limits if fact is not None]
    assert facts
    for fact in facts:
        assert fact.source
        assert fact.read == "first-hand" or fact.via


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("limits.neurons", None, r"limits\.neurons"),
        ("limits.neurons.value", 0, r"limits\.neurons\.value: .*greater than or equal to 1"),
        ("limits.neurons.value", -5, r"limits\.neurons\.value"),
        ("limits.synapse_words.value", 1 << 40, r"limits\.synapse_words\.value: .*less than or equal to 16777216"),
        ("limits.axons_in.value", "many", r"limits\.axons_in\.value: .*integer"),
        ("limits.axons_in.value", 1.5, r"limits\.axons_in\.value: .*integer"),
        ("limits.axons_in.source", "", r"limits\.axons_in\.source"),
        ("limits.weight_bits.value", 65, r"weight_bits: 65 bits are more than 64"),
        ("limits.synapse_words.low", 13000, r"limits\.synapse_words: .*out of order: 13000, 12000, 16000"),
        ("limits.cores.value", 100, r"the mesh has 128 cores, but limits\.cores is 100"),
        ("mesh", None, r"needs all of limits, mesh, packing; missing: mesh"),
        ("packing.scheme", "best", r"packing\.scheme"),
        ("limits.colour", 3, r"limits\.colour: Extra inputs"),
        ("energies", {"hop": {"picojoules": -1.0}}, r"energies\.hop\.picojoules"),
    ],
)
def test_missing_and_absurd_limits_are_refused_with_file_and_key(
    tmp_path: Path, key: str, value: object, message: str
) -> None:
    described = content("loihi2")
    *groups, last = key.split(".")
    section = described
    for group in groups:
        section = section[group]
    section[last] = value
    path = written(tmp_path, described)
    with pytest.raises(FormatError, match=message) as error:
        load_chip(path)
    assert str(error.value).startswith(str(path))


def test_a_chip_of_ones_own_is_found_by_its_path_also_as_text(tmp_path: Path) -> None:
    described = content("loihi2")
    described["limits"]["neurons"]["value"] = 77
    path = written(tmp_path, described)
    chip = load_chip(str(path))
    assert chip.limits is not None
    assert chip.limits.neurons.value == 77


def test_a_chip_of_ones_own_can_borrow_a_chips_hardware(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("title: Mine\nsource: me\nsame_hardware_as: loihi2\n")
    assert load_chip(path).limits == load_chip("loihi2").limits
    path.write_text("title: Mine\nsource: me\nsame_hardware_as: loihi7\n")
    with pytest.raises(FormatError, match=re.escape(f"{path}: same_hardware_as: 'loihi7'")):
        load_chip(path)


@pytest.mark.parametrize("text", ["", "just words", "[1, 2]", "title: [", "same_hardware_as: [loihi2]"])
def test_what_is_no_chip_at_all_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(FormatError, match=re.escape(str(path))):
        load_chip(path)


def test_an_unknown_chip_is_named_with_those_that_exist() -> None:
    with pytest.raises(MonospikeError, match=r"'loihi9'.*loihi2"):
        load_chip("loihi9")
