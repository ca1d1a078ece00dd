"""``monospike import``: somebody else's NIR graph becomes a network of integers, and a report says what it costs."""

from pipeline.importing.compare import Comparison, LayerComparison, OutputComparison, compare
from pipeline.importing.report import as_html, as_json, as_text
from pipeline.importing.run import import_file

__all__ = [
    "Comparison",
    "LayerComparison",
    "OutputComparison",
    "as_html",
    "as_json",
    "as_text",
    "compare",
    "import_file",
]
