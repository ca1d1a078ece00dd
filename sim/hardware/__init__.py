"""Chips as data: what fits on a core, what an operation costs, and where each number was read."""

from sim.hardware.chip import Chip, chip_names, load_chip
from sim.hardware.facts import Constant, Latency, Limit, Limits, Measured, Mesh, Packing, Provenance
from sim.hardware.mapped import OPERATIONS, UNITS, MappedCosts, Operation, Power, Priced, Unit
from sim.hardware.pricing import Estimate, Profile, Scope, Term

__all__ = [
    "OPERATIONS",
    "UNITS",
    "Chip",
    "Constant",
    "Estimate",
    "Latency",
    "Limit",
    "Limits",
    "MappedCosts",
    "Measured",
    "Mesh",
    "Operation",
    "Packing",
    "Power",
    "Priced",
    "Profile",
    "Provenance",
    "Scope",
    "Term",
    "Unit",
    "chip_names",
    "load_chip",
]
