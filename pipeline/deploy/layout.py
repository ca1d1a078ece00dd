"""Where a run's files lie in its folder, and what its stages are called."""

from __future__ import annotations

STAGES = ("data", "train", "quantize", "export", "simulate", "verify", "profile", "report")
"""In their order."""

CONFIG_FILE = "config.yaml"
"""The whole configuration, defaults included."""

VERDICT, EVALUATION, PREDICTIONS = "verify/verification.json", "profile/evaluation.json", "profile/predictions.npz"


def recording_file(engine: str, target: str) -> str:
    """What an engine did with a target's frames."""
    return f"simulate/{engine}-{target}.npz"
