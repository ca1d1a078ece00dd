"""The whole of an import: files in, a network and its report out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy.typing as npt

from netx import FormatError, Network
from netx.bundle import save
from netx.files import write_whole
from netx.nir_file import write_nir_integers
from netx.nir_graph import is_ours, read_graph
from netx.npz import read_npz
from pipeline.core.progress import Progress
from pipeline.deploy.nir_import.compare import compare
from pipeline.deploy.nir_import.report import as_html, as_json
from quantize.nir_import import NO_CHOICES, Choices, Writer, import_graph

NETWORK, REPORT, PAGE = "network.nir", "report.json", "report.html"


def import_file(
    path: Path,
    frames: Path,
    folder: Path,
    progress: Progress,
    dt: float | None = None,
    writer: Writer | None = None,
    choices: Choices = NO_CHOICES,
) -> tuple[Network, dict[str, Any]]:
    """Import ``path``, compare on ``frames``, and leave network, report and page in ``folder``, each whole.

    dt, writer, choices: see ``import_graph``.

    Raises FormatError for what is no such file, NirImportError with all nodes that cannot be done, NetworkError where
    the frames do not fit.
    """
    if is_ours(path):
        raise FormatError(
            f"{path}: holds a network of integers already; monospike simulate and verify read it as it is"
        )
    imported = import_graph(read_graph(path), read_frames(frames), dt, writer, choices)
    sequences, count = next(iter(imported.calibration.integers.values())).shape[:2]
    with progress.task("frames", sequences * count) as task:
        comparison = compare(imported, task.advance)
    report = as_json(imported, comparison)
    folder.mkdir(parents=True, exist_ok=True)
    _save(imported.network, folder / NETWORK)
    for name, text in ((REPORT, json.dumps(report, indent=1) + "\n"), (PAGE, as_html(report))):
        with write_whole(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return imported.network, report


def read_frames(path: Path) -> dict[str, npt.NDArray]:
    """The arrays of an ``.npz`` by name, or that of an ``.npy`` under the file's name.

    Raises FormatError for what is no such file, or unpacks to more than 4 GiB.
    """
    arrays = read_npz(path)
    if not arrays:
        raise FormatError(f"{path}: holds no array")
    return arrays


def _save(network: Network, path: Path) -> None:
    """As a file that stock readers run with the same spikes, where there can be one; the integers are in both."""
    try:
        save(network, path)
    except FormatError:
        write_nir_integers(network, path)
