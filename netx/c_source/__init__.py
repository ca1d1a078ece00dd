"""A network of integers as dependency-free C11 that checks itself: ``NAME.h``, ``NAME.c``, ``NAME_check.c``.

The source is the network and nothing else: its weights are constants, its state is one struct of a stated size, and a
call is a time step, with the bits of the exact engine. ``NAME_check.c`` has a ``main`` that runs golden frames and
compares every layer in every frame. A network with correlations has two calls: one takes the template, the other runs.
"""

from netx.c_source.golden import Golden, GoldenPart
from netx.c_source.write import write_c

__all__ = ["Golden", "GoldenPart", "write_c"]
