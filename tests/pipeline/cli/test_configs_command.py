"""The configurations that come with the package: listed, found by name, copied."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.core.config import ConfigError, about, find_config, shipped_configs

ROOT = Path(__file__).parents[3]


def monospike(*words, cwd):
    command = [sys.executable, "-m", "pipeline", *map(str, words)]
    return subprocess.run(command, cwd=cwd, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120)


def test_every_configuration_of_the_checkout_comes_with_the_package_and_says_what_it_is():
    assert {path.name for path in shipped_configs().values()} == {path.name for path in (ROOT / "configs").iterdir()}
    for path in shipped_configs().values():
        assert len(about(path)) > 20, path


def test_a_configuration_is_found_by_its_name_and_a_file_here_goes_before_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_config("demo").read_bytes() == (ROOT / "configs" / "demo.yaml").read_bytes()
    assert find_config("demo.yaml") == find_config("demo")
    Path("demo.yaml").write_text("name: mine\n")
    assert find_config("demo.yaml") == Path("demo.yaml")


def test_a_name_that_nothing_has_is_refused_with_those_there_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"^dmeo: is no file here, .*demo, demo_training, deploy_small"):
        find_config("dmeo")
    with pytest.raises(ConfigError, match=r"^demo\.yml: is no file here"):
        find_config("demo.yml")


def test_the_command_lists_and_copies_and_writes_over_nothing(tmp_path):
    listed = monospike("configs", cwd=tmp_path)
    assert listed.returncode == 0
    assert all(name in listed.stdout for name in shipped_configs())
    copied = monospike("configs", "demo", "search_demo", "--to", "mine", cwd=tmp_path)
    assert copied.returncode == 0
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == ["demo.yaml", "search_demo.yaml"]
    assert (tmp_path / "mine/demo.yaml").read_bytes() == (ROOT / "configs/demo.yaml").read_bytes()
    (tmp_path / "mine/demo.yaml").write_text("name: changed\n")
    again = monospike("configs", "search_demo", "demo", "--to", "mine", cwd=tmp_path)
    assert again.returncode == 2
    assert "demo.yaml: is there already" in again.stderr
    assert (tmp_path / "mine/demo.yaml").read_text() == "name: changed\n"
    assert monospike("configs", "demo", "--to", "mine", "--force", cwd=tmp_path).returncode == 0
    assert (tmp_path / "mine/demo.yaml").read_bytes() == (ROOT / "configs/demo.yaml").read_bytes()
    unknown = monospike("configs", "dmeo", cwd=tmp_path)
    assert unknown.returncode == 2
    assert "no configuration 'dmeo'" in unknown.stderr
