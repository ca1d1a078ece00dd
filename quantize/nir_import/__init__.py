"""A graph of NIR nodes in floating point becomes a network of integers.

``forms`` gathers what lies between neurons into one linear map for each layer, ``neurons`` brings NIR's equations into
one discrete form, ``integers`` rounds both, and ``reference`` runs the graph as it was, node by node, to compare with.
"""

from quantize.nir_import.convert import Imported, LayerReport, import_graph
from quantize.nir_import.errors import NirImportError, Problem
from quantize.nir_import.inputs import Calibration
from quantize.nir_import.reference import FloatRun, run_float

__all__ = [
    "Calibration",
    "FloatRun",
    "Imported",
    "LayerReport",
    "NirImportError",
    "Problem",
    "import_graph",
    "run_float",
]
