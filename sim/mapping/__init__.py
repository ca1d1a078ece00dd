"""A network's neurons on a chip's cores: how they are cut, where they sit, and which design rules they break."""

from sim.mapping.partition import map_network
from sim.mapping.result import Core, LayerCores, Mapping, Violation
from sim.mapping.shapes import Box, Span

__all__ = ["Box", "Core", "LayerCores", "Mapping", "Span", "Violation", "map_network"]
