"""``monospike lint``: what would go wrong with files, by named rules."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from netx.bundle import recorded
from netx.errors import MonospikeError
from netx.files import write_whole
from netx.lint import READERS, Severity, for_reader, lint, rules
from netx.lint.output import as_json, as_sarif, as_text, rules_as_text, summary
from pipeline.cli.options import InputShapeOption, parsed_shape
from pipeline.core.progress import echo


class Format(str, Enum):
    """How findings are said."""

    text = "text"
    json = "json"
    sarif = "sarif"


Reader = Enum("Reader", {name: name for name in READERS}, type=str)  # type: ignore[misc]


@dataclass(frozen=True)
class LintOptions:
    """Of ``monospike lint``."""

    files: Annotated[
        list[Path] | None, typer.Argument(metavar="FILE...", help=".net or .nir files, or folders of them.")
    ] = None
    format: Annotated[Format, typer.Option("--format", help="How to say it.")] = Format.text
    out: Annotated[Path | None, typer.Option("--out", help="A file to write it to.")] = None
    reader: Annotated[
        Reader | None,
        typer.Option("--for", help="What this reader cannot do is an error, what others cannot is left out."),
    ] = None
    input_shape: InputShapeOption = None
    list_rules: Annotated[bool, typer.Option("--rules", help="List all rules, and end.")] = False


def lint_command(options: LintOptions) -> None:
    """Say what would go wrong with .net and .nir files, where, and what to do about it.

    Reads also what no network can be made of. Ends with 1 when there is an error, with 0 when there is none.
    """
    if options.list_rules:
        echo(rules_as_text(rules()))
        return
    if not options.files:
        raise typer.BadParameter("name at least one file, or --rules")
    shape = parsed_shape(options.input_shape)
    found = [finding for file in options.files for finding in lint(file, shape)]
    if options.reader is not None:
        found = for_reader(found, options.reader.value)
    said = {Format.text: as_text, Format.json: as_json}.get(
        options.format, lambda findings: as_sarif(findings, rules())
    )(found)
    if options.out is None:
        if options.format is Format.text:
            _say_fingerprints(options.files)
        echo(said)
    else:
        with write_whole(options.out) as temporary:
            temporary.write_text(said + "\n", encoding="utf-8")
        echo(f"{summary(found)}: {options.out}")
    if any(finding.rule.severity is Severity.ERROR for finding in found):
        raise typer.Exit(1)


def _say_fingerprints(files: list[Path]) -> None:
    """What each file records of the network that it was written with, where it does."""
    for file in files:
        with suppress(MonospikeError):  # what cannot be read has been said
            if said := recorded(file):
                echo(f"{file}: fingerprint {said.get('fingerprint', 'none')}, written by {said.get('tool', '?')}")
