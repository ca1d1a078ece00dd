"""Where the frameworks that tests ask are installed: the environments of ``make peers``."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

import netx

ROOT = Path(netx.__file__).resolve().parents[1]
PEERS, NEW = ROOT / ".venv-peers", ROOT / ".venv-peers-new"
OWN_NIR = PEERS / "own-nir"
"""nir 1.0.4 and nirtorch 2.0.2, which sinabs 3.1.3 and rockpool 3.1.0 ask for."""

NEWER = ("spikingjelly", "spyx", "mlxsnn")
"""Those that want a newer Python than Lava."""


@pytest.fixture
def run_script():
    """``run_in_environment``; a module in this folder could not be imported."""
    return run_in_environment


def run_in_environment(package, script, *arguments, own_nir=False):
    """Run a script, of this folder or by its path, where ``package`` is installed; the test is skipped where it is not.

    own_nir: beside the nir that the framework asks for instead of today's. Raises RuntimeError with the last line of
    what the script complained of.
    """
    folder = NEW if package in NEWER else PEERS
    python = folder / "bin/python"
    installed = not own_nir and package not in NEWER and importlib.util.find_spec(package)
    if not installed and (not python.exists() or (own_nir and not OWN_NIR.exists())):
        pytest.skip(f"{package} is not installed: make peers")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if own_nir:
        environment["PYTHONPATH"] = str(OWN_NIR)
    command = [sys.executable if installed else str(python), "-W", "ignore", str(Path(__file__).parent / script)]
    command += map(str, arguments)
    child = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    if child.returncode:
        raise RuntimeError(child.stderr.strip().splitlines()[-1])
