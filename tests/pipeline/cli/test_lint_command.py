"""``monospike lint`` and ``monospike export``: what they print, what they write and how they end."""

import json

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from netx import LIF, Conv2d, Input, Layer, Network, Shape
from netx.bundle import load, save
from netx.fingerprint import fingerprint
from netx.lint import rules
from pipeline.cli.app import app

NETWORK = Network((Input("x", Shape(1, 3, 3)),), (Layer("y", ("x",), Conv2d([[[[2]]]]), LIF(1)),), ("y",))


@pytest.fixture
def sound(tmp_path):
    save(NETWORK, tmp_path / "sound.net")
    return tmp_path / "sound.net"


@pytest.fixture
def trapped(sound):
    path = sound.with_name("trapped.net")
    path.write_bytes(sound.read_bytes())
    with h5py.File(path, "r+") as file:
        file["layer/1/weight"][...] = 2.5
        file["layer/1/wgtExp"] = 1
    return path


def run(*arguments):
    return CliRunner().invoke(app, ["lint", *map(str, arguments)])


def test_a_sound_file_ends_with_0_and_one_with_an_error_with_1(sound, trapped):
    assert run(sound).exit_code == 0
    assert run(trapped).exit_code == 1
    assert run(sound, trapped).exit_code == 1


def test_text_says_the_fingerprint_and_a_change_since_is_a_warning(sound):
    recorded = next(line for line in run(sound).output.splitlines() if "fingerprint" in line)
    assert fingerprint(NETWORK) in recorded
    with h5py.File(sound, "r+") as file:
        file["layer/1/weight"][...] = 4
    changed = run(sound)
    assert changed.exit_code == 0
    assert "[changed-since-export]" in changed.output
    assert fingerprint(load(sound)) in changed.output


def test_text_says_rule_place_and_mend(trapped):
    said = run(trapped).output
    assert "layer/1/weight[0, 0, 0, 0]: error: is 2.5, and is loaded as 2" in said
    assert "[net-weight-truncated]" in said
    assert "Mend: Let the block's pre_hook_fx quantise them" in said
    assert said.rstrip().endswith("2 errors, 0 warnings, 0 notes")


def test_json_holds_every_finding(trapped):
    content = json.loads(run(trapped, "--format", "json").output)
    assert content["counts"] == {"error": 2, "warning": 0, "note": 0}
    finding = next(one for one in content["findings"] if one["rule"] == "net-weight-exponent-ignored")
    assert (finding["file"], finding["place"], finding["severity"]) == (str(trapped), "layer/1/wgtExp", "error")
    assert all(finding[key] for key in ("message", "summary", "mend", "source"))


def test_sarif_has_what_the_standard_demands(trapped, tmp_path):
    """OASIS SARIF 2.1.0: sections 3.13, 3.14, 3.19, 3.27, 3.28, 3.33; levels of 3.27.10."""
    out = tmp_path / "deep" / "report.sarif"
    assert run(trapped, "--format", "sarif", "--out", out).exit_code == 1
    log = json.loads(out.read_text())
    assert log["version"] == "2.1.0"
    [one] = log["runs"]
    driver = one["tool"]["driver"]
    assert driver["name"] == "monospike lint"
    identifiers = [rule["id"] for rule in driver["rules"]]
    assert identifiers == [rule.name for rule in rules()]
    assert len(set(identifiers)) == len(identifiers)
    assert all(rule["shortDescription"]["text"] and rule["help"]["text"] for rule in driver["rules"])
    assert {rule["defaultConfiguration"]["level"] for rule in driver["rules"]} == {"error", "warning", "note"}
    assert len(one["results"]) == 2
    for result in one["results"]:
        assert result["ruleId"] == identifiers[result["ruleIndex"]]
        assert result["level"] in ("error", "warning", "note")
        assert result["message"]["text"]
        [location] = result["locations"]
        assert location["physicalLocation"]["artifactLocation"]["uri"] == trapped.as_posix()
        assert location["logicalLocations"][0]["fullyQualifiedName"].startswith("layer/1/")


def test_sarif_names_a_file_with_a_space_as_a_uri_can(trapped, tmp_path):
    spaced = tmp_path / "my net.net"
    spaced.write_bytes(trapped.read_bytes())
    [one] = json.loads(run(spaced, "--format", "sarif").output)["runs"]
    uris = {result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for result in one["results"]}
    assert uris == {(tmp_path / "my%20net.net").as_posix()}


def test_the_rules_are_listed():
    said = run("--rules")
    assert said.exit_code == 0
    for rule in rules():
        assert f"{rule.name} ({rule.severity.value}" in said.output
        assert rule.mend in said.output


def test_no_file_at_all_is_a_mistake_of_the_user():
    assert run().exit_code == 2


def test_for_a_reader_what_it_refuses_is_an_error(tmp_path):
    save(NETWORK, tmp_path / "n.nir")
    assert run(tmp_path / "n.nir").exit_code == 0
    assert run(tmp_path / "n.nir", "--for", "norse").exit_code == 0
    assert run(tmp_path / "n.nir", "--for", "sinabs").exit_code == 1


def test_an_exported_file_is_sound_for_its_reader(sound, tmp_path):
    for reader, name in (("lava", "n.net"), ("norse", "n.nir"), ("snntorch", "s.nir"), ("sinabs", "b.nir")):
        done = CliRunner().invoke(app, ["export", str(sound), str(tmp_path / "out" / name), "--for", reader])
        assert done.exit_code == 0, done.output
        assert load(tmp_path / "out" / name) == NETWORK
        assert run(tmp_path / "out" / name, "--for", reader).exit_code == 0


def test_a_shape_that_is_no_shape_is_refused(sound):
    outcome = run(sound, "--input-shape", "1,two,3")
    assert "expected channel,height,width" in str(outcome.exception)


def test_a_folder_is_linted_whole(tmp_path):
    network = Network(
        (Input("a", Shape(1, 3, 3)), Input("b", Shape(1, 3, 3))),
        (
            Layer("quiet", ("a",), Conv2d(np.full((1, 1, 1, 1), 2)), LIF(3)),
            Layer("other", ("b",), Conv2d(np.full((1, 1, 1, 1), 2)), LIF(1)),
        ),
        ("quiet", "other"),
    )
    save(network, tmp_path / "folder")
    found = json.loads(run(tmp_path / "folder", "--format", "json").output)["findings"]
    assert [(one["rule"], one["place"]) for one in found if one["severity"] == "warning"] == [("never-fires", "quiet")]
