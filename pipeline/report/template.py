"""The pages of all commands: one self-contained file each, in one style."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

_SHARED = Path(__file__).parent
_STYLE = _SHARED / "page.css"


def filled(folder: Path, filters: Mapping[str, Callable[..., Any]], values: Mapping[str, Any]) -> str:
    """``page.html.j2`` of ``folder`` as HTML, filled with ``values`` and, as ``css``, the style of all pages.

    The page may import what several show, from this package's folder. Text is escaped unless it is Markup. Raises
    jinja2.UndefinedError when the page uses a value that is not there.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, _SHARED]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters)
    css = Markup(_STYLE.read_text(encoding="utf-8"))
    return printable(environment.get_template("page.html.j2").render(values, css=css))


def printable(text: str) -> str:
    """``text`` with the bytes of a file's name that are no UTF-8 as numbers: neither page nor plot can hold them."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
