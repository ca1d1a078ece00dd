"""What a model is made of, does and costs, as JSON values for the report.

Size and head-room are those of all its networks. Activity and energy are those of the one that runs at every frame.
"""

from __future__ import annotations

from collections.abc import Sequence as ManyOf
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from netx import Network, headroom
from netx.files import write_whole
from netx.npz import npz_bytes
from sim.activity import COUNTS, Activity, describe
from sim.energy import Energy, Price, load_profile, price
from sim.recording import Recording


def cost_summary(
    network: Network, activity: Activity, observed: ManyOf[Recording], profiles: ManyOf[str]
) -> dict[str, Any]:
    """The report's network, headroom, activity and energy.

    network: all of its integers. activity: of the part that runs at every frame, on real frames. observed: recordings
    to take the largest membrane voltages from.
    """
    return {
        "network": asdict(describe(network)),
        "headroom": _headroom(network, observed),
        "activity": _activity(network, activity),
        "energy": {name: _energy(price(activity, load_profile(name))) for name in profiles},
    }


def save_activity(path: Path, activity: Activity) -> None:
    """Write every count of every layer and frame as npz: arrays LAYER/COUNT, int64, shape (frame,)."""
    arrays = {f"{layer.layer}/{name}": getattr(layer, name) for layer in activity.layers for name in COUNTS}
    with write_whole(path) as temporary:
        temporary.write_bytes(npz_bytes(arrays, compressed=True))


def _headroom(network: Network, observed: ManyOf[Recording]) -> list[dict[str, Any]]:
    seen: dict[str, int] = {}
    for recording in observed:
        for layer, membrane in recording.membranes.items():
            seen[layer] = max(seen.get(layer, 0), int(np.abs(membrane.astype(np.int64)).max()))
    return [
        {
            "layer": bound.layer,
            "accumulator_bits": bound.accumulator_bits,
            "worst_case": bound.worst_case,
            "limit": bound.limit,
            "observed": seen[bound.layer],
        }
        for bound in headroom(network)
    ]


def _activity(network: Network, activity: Activity) -> dict[str, Any]:
    totals = ("spikes", "synops", "macs", "neuron_updates", "effective_synops", "dense_macs")
    return {
        **{f"{name}_per_frame": activity.mean(name) for name in totals},  # type: ignore[arg-type]
        "layers": [
            {
                "name": layer.layer,
                "neurons": network.shape(layer.layer).size,
                **{name: layer.mean(name) for name in COUNTS},
            }
            for layer in activity.layers
        ],
    }


def _energy(cost: Price) -> dict[str, Any]:
    profile = cost.profile
    return {
        "joules_per_frame": _joules(cost.total),
        "source": profile.source,
        "title": profile.title,
        "scope": profile.scope.model_dump(mode="json"),
        "note": profile.note,
        "constants": [{"name": name, **c.model_dump(mode="json")} for name, c in profile.constants.items()],
        "layers": {name: _joules(value) for name, value in cost.by_layer().items()},
        "terms": {name: _joules(value) for name, value in cost.by_term().items()},
        "unpriced": dict(cost.unpriced),
        **({} if cost.ann is None else {"ann_joules_per_frame": _joules(cost.ann)}),
    }


def _joules(energy: Energy) -> dict[str, float]:
    return energy._asdict()
