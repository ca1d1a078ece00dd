"""What a network on a chip's cores does with real frames, and what that costs in joules and seconds."""

from sim.costs.cost import Cost, price_mapped
from sim.costs.estimates import ESTIMATES
from sim.costs.operations import Operations, count_operations
from sim.costs.timing import Duration, Times

__all__ = ["ESTIMATES", "Cost", "Duration", "Operations", "Times", "count_operations", "price_mapped"]
