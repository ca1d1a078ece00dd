"""Exact integer sums of convolutions at the speed of the hardware, by proof; the types and how one is chosen."""

from sim.kernels.choice import EXACT_TYPES, ByRate, Choice, ExactType, choose
from sim.kernels.convolution import Convolution, Geometry, as_convolution
from sim.kernels.floating import Kernel
from sim.kernels.pooling import or_pool
from sim.kernels.settings import exact_arithmetic

__all__ = [
    "EXACT_TYPES",
    "ByRate",
    "Choice",
    "Convolution",
    "ExactType",
    "Geometry",
    "Kernel",
    "as_convolution",
    "choose",
    "exact_arithmetic",
    "or_pool",
]
