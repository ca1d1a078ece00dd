"""Chips as data: what fits on a core, what an operation costs, and where each number was read."""

from sim.hardware.chip import Chip, chip_names, load_chip
from sim.hardware.facts import Constant, Latency, Limit, Limits, Measured, Mesh, Packing, Provenance
from sim.hardware.pricing import Estimate, Profile, Scope, Term

__all__ = [
    "Chip",
    "Constant",
    "Estimate",
    "Latency",
    "Limit",
    "Limits",
    "Measured",
    "Mesh",
    "Packing",
    "Profile",
    "Provenance",
    "Scope",
    "Term",
    "chip_names",
    "load_chip",
]
