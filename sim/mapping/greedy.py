"""A greedy placement: core after core, each where it is best beside those that sit already."""

from __future__ import annotations

import numpy as np

from sim.mapping.exchange import Matrix, Placement


def greedy(flow: Matrix, sites: Matrix, first: int) -> Placement:
    """Core ``first`` in the middle; then always the core that exchanges most messages with those placed, at the free
    site from which these travel least far.

    flow, sites: as for ``sim.mapping.exchange.travelled``, of the same shape.
    """
    placement = np.full(len(flow), -1, np.int64)
    free = np.ones(len(flow), bool)
    pull = np.zeros(len(flow))
    core = first
    for _ in range(len(flow)):
        beside = np.flatnonzero((placement >= 0) & (flow[core] > 0))
        # Without any of its own beside it, a core sits in the middle of all.
        hops = flow[core, beside] @ sites[placement[beside]] if beside.size else sites.sum(axis=1)
        placement[core] = site = int(np.where(free, hops, np.inf).argmin())
        free[site] = False
        pull += flow[core]
        core = int(np.where(placement < 0, pull, -1.0).argmax())
    return placement
