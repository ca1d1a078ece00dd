"""The integers of the packaged models are the same wherever their weights are turned into them."""

from __future__ import annotations

from pathlib import Path

import pytest

from netx.fingerprint import fingerprint
from pipeline.model_zoo.networks import read_network

FINGERPRINTS = {
    "detector-fsd": "7830a6c865a168da9733049ef07ac448f9ba22ef0466f5b893b2a95f5d032306",
    "demo": "82b27da9a562110dd3d45ecbdc2c5c63babb2c6995c10bbec6fb178f2449f2eb",
    "small-dst": "d5f96f5ff5cb0e5b166d1de65959332aa8b384e18a832ad1a0d77e123ff06b22",
    "small-s4": "9d73ce632b8b8771cce0a258fb1d9f08b37cccd1c48cb6242b87615e5f6b2c6c",
    "small-s4-kd": "2a689c9c432cb18ce23c3efe6b7e2e026839d56a895de4e7919e6e5e8cc95e81",
    "small-s4-kd-host": "391d32746408ac6eeb1f2394101280b8776672e2cb31d96a57b8ef49bf49432e",
}
"""By torch 2.3.1; of trackers those of the .net and .nir files that the package had before."""


@pytest.mark.parametrize("name", FINGERPRINTS)
def test_the_weights_become_the_integers_that_were_shipped(name: str) -> None:
    assert fingerprint(read_network(Path(name))) == FINGERPRINTS[name]
