"""Tables and numbers in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def in_words(spread: Mapping[str, Any] | None) -> str:
    """``0.512 ± 0.011 (0.501–0.523)``, or the value alone where there is one."""
    if spread is None:
        return "–"
    if spread["n"] == 1:
        return f"{spread['mean']:.3f}"
    return f"{spread['mean']:.3f} ± {spread['std']:.3f} ({spread['min']:.3f}–{spread['max']:.3f})"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as Markdown, the first one as header."""
    header, *body = rows
    lines = [header, ["---"] * len(header), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
