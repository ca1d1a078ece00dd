"""Code of the page on a network of one's own that runs in the framework's environment, and what is made of its file."""

import re
import textwrap
from pathlib import Path

import numpy as np
import pytest

import netx
from netx.nir_graph import read_graph
from quantize.nir_import import Choices, import_graph

ROOT = Path(netx.__file__).resolve().parents[1]
MARKED = re.compile(r"<!-- runs in: (\w+) -->\n *```python\n(.*?)\n *```", re.DOTALL)


@pytest.mark.parametrize("framework", ["snntorch", "spikingjelly"])
def test_what_the_page_exports_is_imported_and_keeps_its_spikes(framework, run_script, tmp_path):
    page = (ROOT / "docs/tutorials/own_network.md").read_text()
    [code] = [textwrap.dedent(code) for name, code in MARKED.findall(page) if name == framework]
    (tmp_path / "page.py").write_text(f"import os\nos.chdir({str(tmp_path)!r})\n{code}\n")
    run_script(framework, tmp_path / "page.py")
    frames = np.load(tmp_path / "frames.npy")
    assert frames.shape == (4, 20, 2, 8, 8)
    imported = import_graph(read_graph(tmp_path / "mine.nir"), {"x": frames}, None, framework, Choices(reset="zero"))
    spiking = [layer for layer in imported.network.layers if layer.neuron is not None]
    assert [imported.network.shape(layer.name) for layer in spiking] == [(4, 8, 8), (10, 1, 1)]
