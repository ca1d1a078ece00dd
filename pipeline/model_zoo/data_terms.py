"""What a training's data are, and on what terms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

_TERMS = Path(__file__).with_name("data_terms.yaml")


def data_terms(data: Any) -> list[dict[str, str]]:
    """For each place that a training's ``data`` section reads from: ``root``, ``what`` and ``terms``, and ``kind``
    where the section says one."""
    known = yaml.safe_load(_TERMS.read_text(encoding="utf-8"))
    found = []
    for source in _sources(data):
        root = str(source.get("root", source.get("pictures", "builtin")))
        entry = next((e for e in known if Path(root).as_posix().endswith(e["root"])), None)
        what, terms = (
            (entry["what"], entry["terms"]) if entry else ("not described", "unknown; ask whose data they are")
        )
        kind = {"kind": str(source["kind"])} if "kind" in source else {}
        found.append({"root": root, **kind, "what": what, "terms": terms})
    return found


def _sources(data: Any) -> Iterator[Mapping[str, Any]]:
    """The sections, however deep, that name a place, or a kind of data for which one is drawn."""
    if isinstance(data, Mapping):
        if {"root", "kind"} & data.keys():
            yield data
        else:
            yield from _sources(list(data.values()))
    elif isinstance(data, list):
        for one in data:
            yield from _sources(one)
