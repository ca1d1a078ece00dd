"""Findings as text, JSON, and SARIF 2.1.0, which code hosts and editors show beside the file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any
from urllib.parse import quote

from netx.foreign import LONGEST_NAME, shown
from netx.lint.finding import Finding, Rule, Severity

_SARIF_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def as_text(findings: Sequence[Finding]) -> str:
    """A paragraph a finding, the worst first, and how many there are."""
    lines = []
    for finding in findings:
        file, rule = shown(str(finding.file)), finding.rule
        place = f" {shown(finding.place, longest=LONGEST_NAME)}:" if finding.place else ""
        lines.append(f"{file}:{place} {rule.severity.value}: {finding.message} [{rule.name}]")
        lines.append(f"    {finding.rule.summary}\n    Mend: {finding.rule.mend}")
    return "\n".join([*lines, summary(findings)])


def summary(findings: Sequence[Finding]) -> str:
    """How many findings of each severity there are."""
    counts = Counter(finding.rule.severity for finding in findings)
    return ", ".join(f"{counts[one]} {one.value}{'' if counts[one] == 1 else 's'}" for one in Severity)


def as_json(findings: Sequence[Finding]) -> str:
    """An object with the counts and a list of findings."""
    counts = Counter(finding.rule.severity for finding in findings)
    content = {
        "counts": {severity.value: counts[severity] for severity in Severity},
        "findings": [
            {
                "rule": finding.rule.name,
                "severity": finding.rule.severity.value,
                "file": str(finding.file),
                "place": finding.place,
                "message": finding.message,
                "summary": finding.rule.summary,
                "mend": finding.rule.mend,
                "source": finding.rule.source,
                "reader": finding.rule.reader,
            }
            for finding in findings
        ],
    }
    return json.dumps(content, indent=1)


def as_sarif(findings: Sequence[Finding], rules: Sequence[Rule]) -> str:
    """One run of the tool, with all of its ``rules`` (OASIS, Static Analysis Results Interchange Format 2.1.0)."""
    index = {rule.name: number for number, rule in enumerate(rules)}
    driver = {
        "name": "monospike lint",
        "version": _version(),
        "rules": [_sarif_rule(rule) for rule in rules],
    }
    results = [_sarif_result(finding, index[finding.rule.name]) for finding in findings]
    content = {"$schema": _SARIF_SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}
    return json.dumps(content, indent=1)


def rules_as_text(rules: Sequence[Rule]) -> str:
    """A paragraph a rule."""
    return "\n".join(
        f"{rule.name} ({rule.severity.value}{f', {rule.reader}' if rule.reader else ''})\n"
        f"    {rule.summary}\n    Mend: {rule.mend}\n    Source: {rule.source}"
        for rule in rules
    )


def _sarif_rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.name,
        "shortDescription": {"text": rule.summary},
        "help": {"text": rule.mend},
        "defaultConfiguration": {"level": rule.severity.value},
        "properties": {"source": rule.source, **({"reader": rule.reader} if rule.reader else {})},
    }


def _sarif_result(finding: Finding, index: int) -> dict[str, Any]:
    location: dict[str, Any] = {"physicalLocation": {"artifactLocation": {"uri": quote(finding.file.as_posix())}}}
    if finding.place:
        location["logicalLocations"] = [{"fullyQualifiedName": finding.place}]
    return {
        "ruleId": finding.rule.name,
        "ruleIndex": index,
        "level": finding.rule.severity.value,
        "message": {"text": finding.message},
        "locations": [location],
    }


def _version() -> str:
    try:
        return version("monospike")
    except PackageNotFoundError:
        return "unknown"
