"""Which core sits where: messages times hops made small.

It is a quadratic assignment problem. ``scipy.optimize.quadratic_assignment`` (the FAQ of Vogelstein et al., PLoS ONE
10(4), 2015) proposes placements, from several seeded starts; each of them, and the greedy row-by-row one, then goes
downhill by the exchange of two sites that saves most, until none saves anything. The best is never worse than greedy.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.optimize import quadratic_assignment

from sim.hardware import Mesh
from sim.mapping.result import Mapping
from sim.mapping.traffic import Messages, distances

STARTS = 4
"""Seeded starts; more found nothing better on the networks in docs/mapping.md."""

_SAVES = 1e-9
"""Less than this part of the cost is rounding, not a saving."""


def place(
    mapping: Mapping,
    traffic: Messages,
    mesh: Mesh,
    seed: int = 0,
    starts: int = STARTS,
    tried: Callable[[], None] = lambda: None,
) -> Mapping:
    """``mapping`` with its cores where ``traffic`` travels less far; the same for the same ``seed``.

    starts: proposals that are tried besides the placement it has. tried: called after each of them, and after that.
    """
    sites = distances(mesh, mapping.chips).astype(np.float64)
    flow = np.zeros(sites.shape)
    flow[: len(traffic), : len(traffic)] = traffic + traffic.T
    rng = np.random.default_rng(seed)
    found = []
    for start in range(starts + 1):
        begun = _proposal(flow, sites, rng) if start else _all_sites(mapping.placement, len(sites))
        found.append(_downhill(flow, sites, begun))
        tried()
    best = min(found, key=lambda placement: _cost(flow, sites, placement))
    return mapping.placed(best[: len(traffic)])


def _all_sites(placement: tuple[int, ...], sites: int) -> npt.NDArray[np.int64]:
    """``placement``, and the sites that stay empty after it."""
    empty = np.setdiff1d(np.arange(sites), placement)
    return np.concatenate([np.array(placement, np.int64), empty])


def _proposal(
    flow: npt.NDArray[np.float64], sites: npt.NDArray[np.float64], rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    options = {"rng": rng, "P0": "randomized"}
    return np.asarray(quadratic_assignment(flow, sites, method="faq", options=options).col_ind, np.int64)


def _cost(flow: npt.NDArray[np.float64], sites: npt.NDArray[np.float64], placement: npt.NDArray[np.int64]) -> float:
    return float((flow * sites[np.ix_(placement, placement)]).sum())


def _downhill(
    flow: npt.NDArray[np.float64], sites: npt.NDArray[np.float64], placement: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Exchange the two cores that save most, as long as any do.

    With symmetric flow F and distances D between the places that the cores have, both without diagonal, exchanging a
    and b changes the cost by 2 * (G[a, b] + G[b, a] - G[a, a] - G[b, b] + 2 F[a, b] D[a, b]), where G = F D. It swaps
    two rows and two columns of D, so that G is brought up to date without another product of matrices.
    """
    placement = placement.copy()
    enough = _SAVES * max(_cost(flow, sites, placement), 1.0)
    placed = sites[np.ix_(placement, placement)]
    reach = flow @ placed
    while True:
        own = np.diag(reach)
        change = reach + reach.T - own[:, None] - own[None, :] + 2 * flow * placed
        first, second = (int(place) for place in np.unravel_index(int(change.argmin()), change.shape))
        if -2 * change[first, second] <= enough:
            return placement
        pair = [first, second]
        reach += np.outer(flow[:, first] - flow[:, second], placed[second] - placed[first])
        placement[pair] = placement[pair[::-1]]
        placed[pair] = placed[pair[::-1]]
        placed[:, pair] = placed[:, pair[::-1]]
        reach[:, pair] = flow @ placed[:, pair]
