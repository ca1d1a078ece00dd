"""The rule that every reader of NIR has: which kinds of nodes it does not know."""

from __future__ import annotations

from collections.abc import Iterator

from netx.lint.finding import Family, Severity, Trouble
from netx.lint.nir_view import NirNode


def refuse_others(nodes: Family[NirNode], reader: str, kinds: tuple[str, ...], source: str) -> None:
    """Add to ``nodes`` the rule that ``reader`` has a module for ``kinds`` only."""

    @nodes.rule(
        f"{reader}-node-not-read",
        Severity.WARNING,
        f"{reader} has no module for this kind of node: it fails over it, or leaves it out without a word.",
        f"Use {', '.join(kinds)}.",
        source,
        reader,
        refused=True,
    )
    def _check(node: NirNode) -> Iterator[Trouble]:
        if node.kind not in kinds:
            yield "type", f"is {node.kind}"
