"""What makes a package of the packages: one version and licence wherever they stand, types, Pythons."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import yaml

import netx

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(netx.__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_version_is_the_same_everywhere() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert PROJECT["version"] == citation["version"] == newest[1]


def test_the_licence_is_the_same_everywhere() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert PROJECT["license"] == citation["license"] == "Apache-2.0"
    text = (ROOT / "LICENSE").read_text()
    assert text.split()[:4] == ["Apache", "License", "Version", "2.0,"]
    assert "END OF TERMS AND CONDITIONS" in text
    assert "Apache-2.0" in (ROOT / "CONTRIBUTING.md").read_text()


@pytest.mark.parametrize("package", ["netx", "quantize", "sim", "pipeline"])
def test_a_package_says_that_it_is_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").read_bytes() == b""


def test_pythons_that_are_named_are_those_that_are_tested() -> None:
    """The oldest by ``make test``, the newest by ``make core``."""
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    core = re.search(r"^CORE_PYTHONS := (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert core is not None
    assert named == [(ROOT / ".python-version").read_text().strip(), *reversed(core[1].split())]
    assert PROJECT["requires-python"] == f">={named[0]}"
