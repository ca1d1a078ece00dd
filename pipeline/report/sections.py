"""Sections of report.json made from what the other packages compute. The schema describes every key."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from netx import LayerHeadroom
from sim.activity import COUNTS, Activity, Description
from sim.energy import Constant, Energy, Price
from sim.recording import Recording

_PACKAGES = ("monospike", "lava-nc", "lava-dl", "torch", "norse", "nir", "numpy", "h5py", "scikit-learn", "matplotlib")


def network_section(description: Description) -> dict[str, Any]:
    """``network``."""
    return {
        "layers": description.layers,
        "neurons": description.neurons,
        "synapses": description.synapses,
        "parameters": description.parameters,
    }


def headroom_section(bounds: Iterable[LayerHeadroom], recording: Recording) -> list[dict[str, Any]]:
    """``headroom``: proven bounds, and what ``recording`` saw of them; layers that it does not hold saw 0."""
    return [
        {
            "layer": bound.layer,
            "accumulator_bits": bound.accumulator_bits,
            "worst_case": bound.worst_case,
            "limit": bound.limit,
            "observed": _largest(recording, bound.layer),
        }
        for bound in bounds
    ]


def activity_section(activity: Activity) -> dict[str, Any]:
    """``activity``."""
    layers = [
        {"name": layer.layer, "neurons": layer.neurons, **{count: layer.mean(count) for count in COUNTS}}
        for layer in activity.layers
    ]
    return {
        "spikes_per_frame": activity.mean("spikes"),
        "synops_per_frame": activity.mean("synops"),
        "macs_per_frame": activity.mean("macs"),
        "neuron_updates_per_frame": activity.mean("neuron_updates"),
        "effective_synops_per_frame": activity.mean("effective_synops"),
        "dense_macs_per_frame": activity.mean("dense_macs"),
        "layers": layers,
    }


def energy_section(prices: Mapping[str, Price]) -> dict[str, Any]:
    """``energy``, by name of the profile."""
    return {name: _price(price) for name, price in prices.items()}


def file_entry(folder: Path, path: Path) -> dict[str, Any]:
    """One of ``files``: a file of the run, its path relative to ``folder``. Raises OSError when it cannot be read."""
    content = path.read_bytes()
    return {
        "path": path.relative_to(folder).as_posix(),
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
    }


def package_versions() -> dict[str, str]:
    """``versions`` of the installed packages that a result depends on; those that are missing are left out."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _largest(recording: Recording, layer: str) -> int:
    membranes = recording.membranes.get(layer)
    return 0 if membranes is None else int(np.abs(membranes.astype(np.int64)).max())


def _price(price: Price) -> dict[str, Any]:
    profile = price.profile
    section = {
        "joules_per_frame": price.total._asdict(),
        "source": profile.source,
        "title": profile.title,
        "scope": profile.scope.model_dump(),
        "note": profile.note,
        "constants": [_constant(name, constant) for name, constant in profile.constants.items()],
        "layers": _estimates(price.by_layer()),
        "terms": _estimates(price.by_term()),
        "unpriced": dict(price.unpriced),
    }
    return section if price.ann is None else section | {"ann_joules_per_frame": price.ann._asdict()}


def _constant(name: str, constant: Constant) -> dict[str, Any]:
    return {"name": name, **constant.model_dump()}


def _estimates(energies: Mapping[str, Energy]) -> dict[str, dict[str, float]]:
    return {name: energy._asdict() for name, energy in energies.items()}
