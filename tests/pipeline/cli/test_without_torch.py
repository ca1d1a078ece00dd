"""What looks at files alone does not wait for torch, which takes seconds to load."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from netx import LIF, Conv2d, Input, Layer, Network, Shape
from netx.bundle import save

ROOT = Path(__file__).parents[3]

COMMANDS = {
    "lint": ("lint", "a.net", "a.nir"),
    "lint-json": ("lint", "a.nir", "--format", "json", "--for", "norse"),
    "map": ("map", "a.net", "--chip", "loihi2", "--out", "map.json"),
    "place": ("map", "a.nir", "--chip", "loihi2", "--place", "--svg", "map.svg"),
    "diff": ("diff", "a.net", "a.nir"),
    "runs": ("runs", "--runs", "."),
}

RUN = """
import json, sys
from typer.testing import CliRunner
from pipeline.cli.app import app
said = {}
for name, words in json.loads(sys.argv[1]).items():
    done = CliRunner().invoke(app, words)
    said[name] = [done.exit_code, "torch" in sys.modules, done.output]
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, bool, str]]:
    """By command, in one process one after the other: exit code, whether torch was loaded by then, what was printed."""
    folder = tmp_path_factory.mktemp("files")
    network = Network((Input("x", Shape(1, 4, 4)),), (Layer("y", ("x",), Conv2d([[[[3]]], [[[2]]]]), LIF(2)),), ("y",))
    for name in ("a.net", "a.nir"):
        save(network, folder / name)
    done = subprocess.run(
        [sys.executable, "-c", RUN, json.dumps(COMMANDS)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("name", COMMANDS)
def test_the_command_is_done_without_torch(name: str, said: dict[str, tuple[int, bool, str]]) -> None:
    code, torch_is_loaded, output = said[name]
    assert code == 0, output
    assert not torch_is_loaded
