"""Hooks of mkdocs: pages that are made of the program, so that nothing stands twice, and links that lead out of docs/.

A page asks for a part with a line ``<!-- made of: NAME -->``, NAME being one of ``MADE``.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any, get_args

import jupytext
import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from netx.lint import rules
from pipeline.cli.app import app
from sim.hardware import Chip, Provenance, chip_names, load_chip

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
NOTEBOOKS = ROOT / "notebooks"
MARK = re.compile(r"^<!-- made of: (\w+) -->$", re.MULTILINE)
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!\w+:)([^)#]+)(#[^)]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Notebooks become pages: their text, and their code in blocks."""
    for source in sorted(NOTEBOOKS.glob("*.py")):
        files.append(File.generated(config, f"notebooks/{source.stem}.md", content=notebook_page(source)))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Fill in what is made of the program, and name files of the repository that a page of the site cannot link to."""
    markdown = MARK.sub(lambda found: MADE[found[1]](), markdown)
    return without_outside_links(markdown, (DOCS / page.file.src_uri).parent)


def notebook_page(source: Path) -> str:
    """A notebook in jupytext's percent format as Markdown. What it prints stands in it, where a test holds it."""
    cells = jupytext.read(source, fmt="py:percent")["cells"]
    parts = [
        cell["source"] if cell["cell_type"] == "markdown" else f"```python\n{cell['source']}\n```" for cell in cells
    ]
    first, *rest = [part for part in parts if part.strip()]
    where = f"`notebooks/{source.name}` of the repository: run it with `python`, or open it in Jupyter with jupytext."
    return "\n\n".join([first, where, *rest]) + "\n"


def without_outside_links(markdown: str, folder: Path) -> str:
    """Links to files beyond docs/ as the files' names: a site that is read offline has no such pages."""

    def named(link: re.Match[str]) -> str:
        target = (folder / link[2]).resolve()
        if target.parent == NOTEBOOKS and target.suffix == ".py":
            page = DOCS / "notebooks" / f"{target.stem}.md"
            return f"[{link[1]}]({os.path.relpath(page, folder)})"
        if target.is_relative_to(DOCS) or not target.exists():
            return link[0]
        path = f"`{target.relative_to(ROOT)}`"
        return path if link[1].strip("`").removeprefix("../") in path else f"{link[1]} ({path})"

    return LINK.sub(named, markdown)


def commands() -> str:
    """Every command with its arguments and options, as typer has them."""
    group = typer.main.get_command(app)
    functions = {one.name or one.callback.__name__: one.callback for one in app.registered_commands if one.callback}
    return "\n\n".join(_command(name, group.get_command(None, name), functions[name]) for name in functions)  # type: ignore


def _command(name: str, command: Any, function: Callable[..., None]) -> str:
    rows = []
    for one in command.params:
        if one.name == "help":
            continue
        is_option = one.param_type_name == "option"
        called = (
            ", ".join(f"`{text}`" for text in (*one.opts, *one.secondary_opts)) if is_option else f"`{one.metavar}`"
        )
        choices = list(_choices(function.__annotations__[one.name]))
        told = (one.help or "") + (f" One of {', '.join(choices)}." if choices else "")
        rows.append((called, _default(one), _cell(told)))
    return "\n".join([f"## {name}", "", command.help, "", *_table(("", "default", ""), rows)])


def _default(option: Any) -> str:
    if option.required:
        return "required"
    default = option.show_default if isinstance(option.show_default, str) else option.default
    return "" if default in (None, False) or callable(default) else _cell(str(getattr(default, "value", default)))


def _choices(annotation: Any) -> Iterator[str]:
    """The values of the enumeration that an option takes, which may stand within ``Annotated`` and unions."""
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        yield from (str(member.value) for member in annotation)
    for inner in get_args(annotation):
        yield from _choices(inner)


def lint_rules() -> str:
    """Every rule of ``monospike lint``."""
    rows = [
        (f"`{rule.name}`", rule.severity.value, _cell(rule.summary), _cell(rule.mend), _cell(rule.source))
        for rule in rules()
    ]
    return "\n".join(_table(("rule", "severity", "what is wrong", "mend", "seen or written in"), rows))


def report_keys() -> str:
    """What stands at the top of report.json."""
    return _keys(ROOT / "pipeline/report/schema.json")


def score_keys() -> str:
    """What stands at the top of a tracker's scores."""
    return _keys(ROOT / "pipeline/tasks/tracking/metrics/schema.json")


def _keys(schema: Path) -> str:
    content = json.loads(schema.read_text(encoding="utf-8"))
    rows = []
    for key, value in content["properties"].items():
        within = content["$defs"].get(value.get("$ref", "").rpartition("/")[2], {})
        rows.append((f"`{key}`", _cell(value.get("description") or within.get("description") or "")))
    return "\n".join(_table(("key", "what it is"), rows))


def hardware() -> str:
    """Every chip's file as tables, each number with its source."""
    return "\n\n".join(part for name in chip_names() for part in _chip(name, load_chip(name)))


def _chip(name: str, chip: Chip) -> Iterator[str]:
    yield f"## {name}"
    yield f"{chip.title}. {chip.source}. File: `sim/hardware/{name}.yaml`."
    if chip.limits is not None:
        facts = [(key, fact) for key, fact in chip.limits if isinstance(fact, Provenance)]
        yield _facts("limits", [(f"`{key}`", _range(fact, "value"), fact.what, fact) for key, fact in facts])  # type: ignore[attr-defined]
    parts = [("mesh", chip.mesh), ("packing", chip.packing)]
    rows = [(f"`{key}`", "", _settings(part), part) for key, part in parts if part is not None]
    if rows:
        yield _facts("arrangement", rows)
    if chip.energies:
        rows = [
            (f"`{key}`", f"{_range(fact, 'picojoules')} pJ", fact.operation, fact)
            for key, fact in chip.energies.items()
        ]
        yield _facts("energies", rows)
    if chip.latencies:
        rows = [
            (f"`{key}`", f"{_range(fact, 'nanoseconds')} ns", fact.operation, fact)
            for key, fact in chip.latencies.items()
        ]
        yield _facts("latencies", rows)
    if chip.measured:
        yield _facts(
            "measured systems", [("", f"{_range(one, 'value')} {one.unit}", one.what, one) for one in chip.measured]
        )
    if chip.mapped is not None and chip.mapped.static is not None:
        static = chip.mapped.static
        yield _facts("static power", [("", f"{_range(static, 'watts')} W", static.what, static)])
    if chip.estimate is not None:
        scope, note = chip.estimate.scope, chip.estimate.note
        yield f"**What an estimate covers.** Low: {scope.low} Typical: {scope.typical} High: {scope.high} {note}"
    if chip.mapped is not None:
        yield f"**On cores.** {chip.mapped.note}"


def _facts(title: str, rows: Iterable[tuple[str, str, str, Provenance]]) -> str:
    filled = [
        (key, value, _cell(what), _cell(fact.source), _cell(fact.read + (f": {fact.via}" if fact.via else "")))
        for key, value, what, fact in rows
    ]
    return "\n".join([f"### {title}", "", *_table(("key", "value", "what", "source", "read"), filled)])


def _range(fact: Any, key: str) -> str:
    value, low, high = getattr(fact, key), getattr(fact, "low", None), getattr(fact, "high", None)
    return (
        f"{value:,}"
        if low is None and high is None
        else f"{value:,} ({value if low is None else low:,} to {value if high is None else high:,})"
    )


def _settings(part: Provenance) -> str:
    known = {"source", "read", "via"}
    return ", ".join(f"{key} {value}" for key, value in part if key not in known and value is not None)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    lines = [head, ("---",) * len(head), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


MADE: dict[str, Callable[[], str]] = {
    one.__name__: one for one in (commands, hardware, lint_rules, report_keys, score_keys)
}
