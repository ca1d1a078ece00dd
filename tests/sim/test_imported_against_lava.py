"""Networks imported from NIR files of others do in Lava's stock processes, in every variable, what the engine says."""

from pathlib import Path

import numpy as np
import pytest

from netx.nir_graph import read_graph
from quantize.nir_import import import_graph
from sim.random_networks import Drawn
from sim.selfcheck import check

pytestmark = [pytest.mark.lava, pytest.mark.usefixtures("traces")]

FIXTURES = Path(__file__).parents[1] / "fixtures" / "nir"


@pytest.mark.parametrize("peer", ["snntorch_recurrent", "snntorch_conv", "sinabs_conv"])
def test_an_imported_network_is_the_same_in_lava(peer: str) -> None:
    with np.load(FIXTURES / f"{peer}.npz") as file:
        frames = file["frames"][:, :15]
    result = import_graph(read_graph(FIXTURES / f"{peer}.nir"), {"x": frames})
    drawn = [
        Drawn(result.network, {name: values[one] for name, values in result.calibration.integers.items()})
        for one in range(len(frames))
    ]
    outcome = check(drawn)
    assert outcome.first is None, outcome.first
    assert (outcome.compared, outcome.refused) == (len(frames), 0)
