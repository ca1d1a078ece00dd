"""A placement goes downhill: two sites change places wherever that lets messages travel less far."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]
Placement = npt.NDArray[np.int64]
"""For each core the site where it sits; cores without messages stand for the sites that stay empty."""

_SAVES = 1e-9
"""Less than this part of the cost is rounding, not a saving."""

_LOOKED_AT = 4
"""Exchanges that are tried between two looks at all of them, for each core."""


def travelled(flow: Matrix, sites: Matrix, placement: Placement) -> float:
    """Messages times hops. flow: messages between every two cores, both ways. sites: hops between every two sites."""
    return float((flow * sites[np.ix_(placement, placement)]).sum()) / 2


def downhill(flow: Matrix, sites: Matrix, placement: Placement) -> Placement:
    """Exchange two cores, those that save most first, until no exchange saves anything.

    All exchanges are reckoned at once by a product of matrices; then the best are made one after another, as far as
    they still save something after those before them.
    """
    placement = placement.copy()
    enough = -_SAVES * max(travelled(flow, sites, placement), 1.0)
    while True:
        done = 0
        changes = _changes(flow, sites[np.ix_(placement, placement)])
        for one, other in _best(changes):
            if changes[one, other] >= enough:
                break
            if _change(flow, sites, placement, one, other) < enough:
                placement[[one, other]] = placement[[other, one]]
                done += 1
        if not done:
            return placement


def _changes(flow: Matrix, placed: Matrix) -> Matrix:
    """By how much the exchange of every two cores changes the cost; above the diagonal, zero elsewhere.

    With symmetric flow F and hops D between the places that the cores have, both without diagonal, exchanging a and b
    changes the cost by G[a, b] + G[b, a] - G[a, a] - G[b, b] + 2 F[a, b] D[a, b], where G = F D.
    """
    reach = flow @ placed
    own = np.diag(reach)
    # In place: with an array for every step, half of the time would go into getting them.
    changes = reach + reach.T
    changes -= own[:, None]
    changes -= own[None, :]
    between = 2 * flow
    between *= placed
    changes += between
    return np.triu(changes, 1)


def _best(changes: Matrix) -> list[tuple[int, int]]:
    flat = changes.ravel()
    most = min(_LOOKED_AT * len(changes), flat.size)
    chosen = np.argpartition(flat, most - 1)[:most]
    rows, columns = np.divmod(chosen[np.argsort(flat[chosen], kind="stable")], len(changes))
    return list(zip(rows.tolist(), columns.tolist(), strict=True))


def _change(flow: Matrix, sites: Matrix, placement: Placement, one: int, other: int) -> float:
    """The same for two cores, as they sit now."""
    here, there = placement[one], placement[other]
    change = (flow[one] - flow[other]) @ (sites[there] - sites[here])[placement]
    return float(change + 2 * flow[one, other] * sites[here, there])
