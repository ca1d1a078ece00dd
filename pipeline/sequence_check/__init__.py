"""The whole on-chip tracker over a whole sequence: SLAYER, the exact engine and Lava on the crops the tracker saw."""

from pipeline.sequence_check.check import CheckSettings, check_sequence, in_lava
from pipeline.sequence_check.crops import Target, Which, crops_of_sequence

__all__ = ["CheckSettings", "Target", "Which", "check_sequence", "crops_of_sequence", "in_lava"]
