"""lava-dl's own loader, for tests of what it makes of a file."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import netx

ROOT = Path(netx.__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def stock(tmp_path_factory):
    """A function from a mapping of names to {path, options, frames} to lava-dl's outcome for each."""
    pytest.importorskip("lava.lib.dl.netx", reason="lava-dl is not installed")

    def outcomes(wanted):
        folder = tmp_path_factory.mktemp("stock")
        (folder / "job.json").write_text(json.dumps(wanted, default=str))
        child = subprocess.run(
            [sys.executable, str(Path(__file__).with_name("stock_loader.py")), "job.json", "outcome.json"],
            cwd=folder,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=240,
            start_new_session=True,
        )
        assert child.returncode == 0, child.stderr
        return json.loads((folder / "outcome.json").read_text())

    return outcomes
