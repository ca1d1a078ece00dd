"""Named rules about ``.net`` and ``.nir`` files: what would go wrong, where, and what to do about it.

The rules stand in families, one file each; a rule is data and a small function. They read files that no network can be
made of, and need neither torch nor Lava. ``lint`` is all of it; ``output`` says it in text, JSON and SARIF.
"""

from netx.lint.finding import Finding, Rule, Severity
from netx.lint.nir_readers import READERS
from netx.lint.run import for_reader, lint, network_findings, rules

__all__ = ["READERS", "Finding", "Rule", "Severity", "for_reader", "lint", "network_findings", "rules"]
