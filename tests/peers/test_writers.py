"""Networks that seven frameworks wrote are read as they ran there: the float reference has every one of their spikes.

Each case builds, runs and exports its network in the framework itself (``peer_writer.py``), in the environments of
``make peers``.
"""

import numpy as np
import pytest

from netx.nir_graph import read_graph
from quantize.nir_import import Choices, import_graph, run_float

PLAIN = Choices()
PACKAGES = {"mlx-snn": "mlxsnn"}

CASES = {
    "spikingjelly_if": ("spikingjelly", PLAIN, 1e-4),
    "spikingjelly_if_reset": ("spikingjelly", PLAIN, 1e-3),
    "spikingjelly_lif": ("spikingjelly", PLAIN, 1e-3),
    "spikingjelly_lif_decayed": ("spikingjelly", PLAIN, 1e-4),
    "spikingjelly_ties": ("spikingjelly", PLAIN, 1e-4),
    "spikingjelly_conv": ("spikingjelly", PLAIN, 1e-4),
    "norse_lif_cell": ("norse", PLAIN, 1e-6),
    "norse_lif_cell_in_seconds": ("norse", PLAIN, 1e-3),
    "norse_box_leak": ("norse", PLAIN, 1e-3),
    "norse_iaf": ("norse", PLAIN, 1e-4),
    "snntorch_leaky": ("snntorch", PLAIN, 1e-4),
    "snntorch_leaky_zero": ("snntorch", Choices(reset="zero"), 1e-4),
    "snntorch_synaptic": ("snntorch", PLAIN, 1e-4),
    "snntorch_synaptic_zero": ("snntorch", Choices(reset="zero-later"), 1e-4),
    "snntorch_synaptic_zero_at_once": ("snntorch", Choices(reset="zero"), 1e-4),
    "sinabs_iaf": ("sinabs", PLAIN, 1e-4),
    "sinabs_iaf_single_reset": ("sinabs", Choices(reset="zero", several=False), 1e-4),
    "sinabs_lif": ("sinabs", PLAIN, 1.0),
    "sinabs_lif_whole_single_reset": ("sinabs", Choices(reset="zero", several=False, gain="whole"), 1.0),
    "rockpool": ("rockpool", PLAIN, 1e-3),
    "mlx_leaky": ("mlx-snn", PLAIN, 1e-4),
    "mlx_synaptic": ("mlx-snn", PLAIN, 1e-4),
    "mlx_synaptic_zero": ("mlx-snn", Choices(reset="zero"), 1e-4),
    "mlx_if": ("mlx-snn", PLAIN, 1e-4),
    "spyx_lif": ("spyx", PLAIN, 1.0),
    "spyx_if": ("spyx", PLAIN, 1.0),
    "spyx_cuba": ("spyx", PLAIN, 1.0),
    "spyx_recurrent": ("spyx", PLAIN, 1.0),
}


def spikes_of(imported):
    last = [layer.node for layer in imported.layers if layer.spikes][-1]
    floats = imported.calibration.floats
    return run_float(imported.graph, floats, imported.dt, (last,), rules=imported.rules).values[last][0]


@pytest.mark.parametrize("case", CASES)
def test_the_float_reference_has_every_spike_of_the_framework(case, tmp_path, run_script):
    writer, choices, dt = CASES[case]
    run_script(PACKAGES.get(writer, writer), "peer_writer.py", case, tmp_path)
    with np.load(tmp_path / "net.npz") as file:
        frames, expected = file["frames"], file["spikes"]
    imported = import_graph(read_graph(tmp_path / "net.nir"), {"x": frames}, None, writer, choices)
    assert imported.dt == pytest.approx(dt)
    assert 0.05 < (expected > 0).mean() < 0.95
    assert np.array_equal(spikes_of(imported).reshape(expected.shape), expected)


@pytest.mark.parametrize("case", [case for case in CASES if case.startswith(("sinabs", "rockpool"))])
def test_files_of_the_nir_that_a_framework_asks_for_are_the_same(case, tmp_path, run_script):
    """nir 1.0.4 writes no v_reset."""
    writer, choices, _ = CASES[case]
    run_script(writer, "peer_writer.py", case, tmp_path, own_nir=True)
    graph = read_graph(tmp_path / "net.nir")
    assert not any("v_reset" in node.values for node in graph.nodes.values())
    with np.load(tmp_path / "net.npz") as file:
        frames, expected = file["frames"], file["spikes"]
    imported = import_graph(graph, {"x": frames}, None, writer, choices)
    assert np.array_equal(spikes_of(imported).reshape(expected.shape), expected)
