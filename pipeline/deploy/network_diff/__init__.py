"""Two networks held against each other: their files, and what both do on the same frames."""

from pipeline.deploy.network_diff.found import Diff, Frames
from pipeline.deploy.network_diff.hold import diff

__all__ = ["Diff", "Frames", "diff"]
