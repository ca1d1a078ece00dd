"""A griffe extension: what docstrings here say of a parameter (``name: text``, a line each) becomes a list."""

from __future__ import annotations

import re
from typing import Any

import griffe

NAMED = re.compile(r"((?:\w+, )*\w+): (.*)")


class ListedParameters(griffe.Extension):
    """Works on functions, whose parameters are known, and on classes, whose attributes are."""

    def on_function(self, *, func: griffe.Function, **_: Any) -> None:
        """List the function's parameters."""
        _list(func, {parameter.name for parameter in func.parameters})

    def on_class_members(self, *, cls: griffe.Class, **_: Any) -> None:
        """List the class's attributes."""
        _list(cls, set(cls.attributes) | set(cls.members))


def _list(described: griffe.Object, names: set[str]) -> None:
    if described.docstring is None:
        return
    lines: list[str] = []
    within = False
    for line in described.docstring.value.splitlines():
        found = NAMED.match(line)
        if found and all(name in names for name in found[1].split(", ")):
            called = ", ".join(f"`{name}`" for name in found[1].split(", "))
            lines += ([] if within else [""]) + [f"- {called}: {found[2]}"]
            within = True
        elif within and line.strip() and not line.startswith(" ") and lines[-1].endswith("."):
            lines += ["", line]
            within = False
        else:
            within = within and bool(line.strip())
            lines.append(f"    {line.strip()}" if within else line)
    described.docstring.value = "\n".join(lines)
