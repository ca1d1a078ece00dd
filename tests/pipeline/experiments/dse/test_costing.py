"""What candidates of a search that do not fit, or whose files are not there, are told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from netx import LIF, Conv2d, Input, Layer, MonospikeError, Network, Shape
from pipeline.experiments.dse.candidate import Variant, evaluate
from pipeline.experiments.dse.config import SearchConfig
from pipeline.planning.candidate_cost import mapping_on


def test_too_large_a_network_is_told_the_key_that_would_do() -> None:
    """1,048,576 neurons of which a core of Loihi 2 takes at most 4095: more than 256 cores of 128 a chip."""
    layer = Layer("wide", ("x",), Conv2d(np.ones((64, 1, 1, 1), np.int32)), LIF(1))
    network = Network((Input("x", Shape(1, 128, 128)),), (layer,), ("wide",))
    with pytest.raises(MonospikeError, match=r"2 x loihi2: \d+ cores are needed, there are 256.*\(most_chips: \d+\)"):
        mapping_on("loihi2", 2, network)


def test_files_that_a_worker_does_not_see_are_no_reason_of_the_candidate(tmp_path: Path) -> None:
    config = SearchConfig(name="x", models={"a": "a"}, chips=("loihi2",))
    with pytest.raises(MonospikeError, match=r"gone\.safetensors: is not there on .*every worker has to see it"):
        evaluate(Variant("a", 8, 1.0), config, tmp_path / "gone.safetensors", tmp_path)
