"""The pages of all commands: one self-contained file each, in one style."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from netx.foreign import shown

_SHARED = Path(__file__).parent
_STYLE = _SHARED / "page.css"


def filled(folder: Path, filters: Mapping[str, Callable[..., Any]], values: Mapping[str, Any]) -> str:
    """``page.html.j2`` of ``folder`` as HTML, filled with ``values`` and, as ``css``, the style of all pages.

    The page may import what several show, from this package's folder, and has the filter ``number``. Text is escaped
    unless it is Markup. Raises jinja2.UndefinedError when the page uses a value that is not there.
    """
    css = Markup(_STYLE.read_text(encoding="utf-8"))
    page = _environment([folder, _SHARED], filters).get_template("page.html.j2")
    return shown(page.render(values, css=css), lines=True)


def fragment(source: str, values: Mapping[str, Any], filters: Mapping[str, Callable[..., Any]] | None = None) -> str:
    """A part of a page as HTML, from a template's text; all as for ``filled``."""
    return shown(_environment([_SHARED], filters or {}).from_string(source).render(values), lines=True)


def _environment(folders: list[Path], filters: Mapping[str, Callable[..., Any]]) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folders),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update({"number": number, **filters})
    return environment


def number(value: float) -> str:
    """A count for people: ``1,234,567``; fractions with as many digits as tell something."""
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:,.3g}"
