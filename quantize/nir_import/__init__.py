"""A graph of NIR nodes in floating point becomes a network of integers.

``forms`` gathers what lies between neurons into one linear map for each layer, ``neurons`` brings NIR's equations into
one discrete form, ``writers`` knows what each framework means by its files, ``integers`` rounds, and ``reference`` runs
the graph as it was, node by node, to compare with.
"""

from quantize.nir_import.convert import Imported, LayerReport, import_graph
from quantize.nir_import.errors import NirImportError, Problem
from quantize.nir_import.inputs import Calibration
from quantize.nir_import.neurons import RESETS, Reset, Rules
from quantize.nir_import.reference import FloatRun, run_float
from quantize.nir_import.writers import GAINS, NO_CHOICES, READINGS, WRITERS, Choices, Gain, Reading, Writer

__all__ = [
    "GAINS",
    "NO_CHOICES",
    "READINGS",
    "RESETS",
    "WRITERS",
    "Calibration",
    "Choices",
    "FloatRun",
    "Gain",
    "Imported",
    "LayerReport",
    "NirImportError",
    "Problem",
    "Reading",
    "Reset",
    "Rules",
    "Writer",
    "import_graph",
    "run_float",
]
