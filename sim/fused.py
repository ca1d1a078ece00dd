"""The compiled networks of ``sim.engine`` under the names they had: ``Runner`` and ``compile``."""

from sim.compiled import Compiled as Runner
from sim.compiled import compile, frames_together

__all__ = ["Runner", "compile", "frames_together"]
