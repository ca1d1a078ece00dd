"""What tests of every package share."""

from __future__ import annotations

import importlib.util
import os
import signal
from pathlib import Path

import pytest

# A shell lets background jobs ignore interrupts, and children inherit that; some tests interrupt what they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
"""Research data that may not be part of the project; it lies beside the checkout on some machines."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs Lava where it is not installed: the core has no need of it, and newer Pythons cannot have it."""
    if importlib.util.find_spec("lava") is None:
        for item in items:
            if "lava" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="Lava is not installed"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data, which MONOSPIKE_DATA names; a skipped test where there is none."""
    folder = Path(os.environ.get("MONOSPIKE_DATA", SHARED_DATA))
    if not folder.is_dir():
        pytest.skip("the folder of shared research data is not on this machine")
    os.environ["MONOSPIKE_DATA"] = str(folder)
    return folder
