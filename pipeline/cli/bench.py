"""``monospike bench``: ratios measured side by side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from netx.files import check_places
from pipeline.core.progress import Progress


@dataclass(frozen=True)
class BenchOptions:
    """Of ``monospike bench``."""

    only: Annotated[
        str | None, typer.Option("--only", help="Letters or names of measurements, as in a,c,recording; all.")
    ] = None
    runs: Annotated[int, typer.Option("--runs", min=1, help="How often each pair is measured.")] = 9
    out: Annotated[Path, typer.Option("--out", help="The file to write.")] = Path("runs/bench/bench.json")


def bench(options: BenchOptions) -> None:
    """Measure the engine against PyTorch, Lava and itself; stock Lava (b, e) takes minutes.

    Entries of other letters in an existing file stay. Do nothing else on the machine meanwhile. snnTorch and norse run
    in the Python that PEERS_PYTHON names, or in that of `make peers`; without it they are left out.
    """
    # Imported here because it loads torch, for which --help should not wait.
    from pipeline.diagnostics.bench.run import bench_to_file

    check_places(options.out)
    bench_to_file(options.only.split(",") if options.only else None, options.runs, options.out, Progress())
