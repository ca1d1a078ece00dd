"""Which core sits where: messages times hops made small.

It is a quadratic assignment problem. Greedy placements that start from several cores, and the row-by-row one, go
downhill by exchanges of two sites until none saves anything. From the best two of them
``scipy.optimize.quadratic_assignment`` (the FAQ of Vogelstein et al., PLoS ONE 10(4), 2015) looks for others, which go
downhill too. The best of all is never worse than greedy or row by row.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from netx import MonospikeError
from sim.hardware import Mesh
from sim.mapping.exchange import Matrix, Placement, downhill, travelled
from sim.mapping.greedy import greedy
from sim.mapping.result import Mapping
from sim.mapping.traffic import Messages, distances

_GREEDY = 12
"""Greedy placements: the first from the core with most messages, the others from cores at random."""

_REFINED = 2
"""Of the best placements, from which scipy looks on."""

_ITERATIONS = 12
"""Of scipy; thirty, its default, take twice as long for half a percent."""

_MOST_SITES = 8192
"""Some matrices of so many rows and columns fit into memory."""

TRIED = 1 + _GREEDY + _REFINED
"""Placements that are tried."""


def place(
    mapping: Mapping, traffic: Messages, mesh: Mesh, seed: int = 0, tried: Callable[[int], None] = lambda _: None
) -> Mapping:
    """``mapping`` with its cores where ``traffic`` travels less far; the same for the same ``seed``.

    tried: called with the number of placements tried, of ``TRIED``, after each of them. Raises MonospikeError when the
    chips in use have more than 8192 cores.
    """
    flow, sites = _problem(mapping, traffic, mesh)
    rng = np.random.default_rng(seed)
    found: list[Placement] = []
    for begun in (_all_sites(mapping.placement, len(sites)), *_greedy_ones(flow, sites, len(traffic), rng)):
        found.append(downhill(flow, sites, begun))
        tried(len(found))
    best = {travelled(flow, sites, placement): placement for placement in found}
    for number, cost in enumerate(sorted(best)[:_REFINED], len(found) + 1):
        refined = downhill(flow, sites, _refined(flow, sites, best[cost]))
        best.setdefault(travelled(flow, sites, refined), refined)
        tried(number)
    return mapping.placed(best[min(best)][: len(traffic)])


def place_greedily(mapping: Mapping, traffic: Messages, mesh: Mesh) -> Mapping:
    """The greedy placement alone, from the core with most messages: what ``place`` is held against."""
    flow, sites = _problem(mapping, traffic, mesh)
    return mapping.placed(greedy(flow, sites, _busiest(flow))[: len(traffic)])


def _problem(mapping: Mapping, traffic: Messages, mesh: Mesh) -> tuple[Matrix, Matrix]:
    """Messages between every two cores, both ways, and hops between every two sites; a core for every site.

    Chips without a core now stay without: on them, messages would travel further.
    """
    a_chip = mesh.columns * mesh.rows * mesh.cores_per_tile
    chips = max(mapping.placement, default=0) // a_chip + 1
    if chips * a_chip > _MOST_SITES:
        raise MonospikeError(
            f"{mapping.chip}: placing looks at every two of {chips * a_chip} cores, and can do that for {_MOST_SITES}: "
            "leave --place out, or map the network in parts"
        )
    sites = distances(mesh, chips).astype(np.float64)
    flow = np.zeros(sites.shape)
    flow[: len(traffic), : len(traffic)] = traffic + traffic.T
    return flow, sites


def _all_sites(placement: tuple[int, ...], sites: int) -> Placement:
    """``placement``, and the sites that stay empty after it."""
    empty = np.setdiff1d(np.arange(sites), placement)
    return np.concatenate([np.array(placement, np.int64), empty])


def _busiest(flow: Matrix) -> int:
    return int(flow.sum(axis=0).argmax())


def _greedy_ones(flow: Matrix, sites: Matrix, cores: int, rng: np.random.Generator) -> list[Placement]:
    others: npt.NDArray[np.int64] = rng.permutation(cores)[: _GREEDY - 1]
    return [greedy(flow, sites, first) for first in (_busiest(flow), *others.tolist())]


def _refined(flow: Matrix, sites: Matrix, placement: Placement) -> Placement:
    """What scipy finds from half way between ``placement`` and the middle of all."""
    count = len(placement)
    begun = np.full((count, count), 0.5 / count)
    begun[np.arange(count), placement] += 0.5
    options = {"P0": begun, "maxiter": _ITERATIONS}
    # Imported here because scipy's optimisers take half a second, and few commands place anything.
    from scipy.optimize import quadratic_assignment

    return np.asarray(quadratic_assignment(flow, sites, method="faq", options=options).col_ind, np.int64)
