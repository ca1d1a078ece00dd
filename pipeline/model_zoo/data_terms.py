"""What a training's data are, and on what terms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

_TERMS = Path(__file__).with_name("data_terms.yaml")


def data_terms(sources: list[dict[str, Any]]) -> list[dict[str, str]]:
    """For each place that a training's ``data`` section reads from: ``root``, ``kind``, ``what`` and ``terms``."""
    known = yaml.safe_load(_TERMS.read_text(encoding="utf-8"))
    found = []
    for source in sources:
        root = str(source.get("root", source.get("pictures", "builtin")))
        entry = next((e for e in known if Path(root).as_posix().endswith(e["root"])), None)
        what, terms = (
            (entry["what"], entry["terms"]) if entry else ("not described", "unknown; ask whose data they are")
        )
        found.append({"root": root, "kind": str(source["kind"]), "what": what, "terms": terms})
    return found
