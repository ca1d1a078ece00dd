"""What is said of a comparison: layers whose spikes say nothing are named."""

import numpy as np
import pytest

from netx import LIF, Accumulator, Conv2d, Input, Layer, Network, Shape
from pipeline.deploy.verdict import Verdict, joined, spiking_layers
from sim import engine
from sim.compare import Comparison, compare


def network(threshold: int) -> Network:
    layers = (
        Layer("fire", ("x",), Conv2d([[[[2]]]]), LIF(threshold)),
        Layer("end", ("fire",), Conv2d([[[[2]]]]), Accumulator()),
    )
    return Network((Input("x", Shape(1, 1, 2)),), layers, ("end",))


def compared(one: Network, frames: list[list[int]]) -> Comparison:
    values = {"x": np.array(frames).reshape(-1, 1, 1, 2)}
    recording = engine.run(one, values)
    return compare(one, values, recording, [recording])


@pytest.mark.parametrize(
    ("frames", "said"),
    [
        ([[0, 0], [0, 0]], ["fire: no neuron spikes in any frame"]),
        ([[1, 1], [1, 1]], ["fire: every neuron spikes in every frame"]),
        ([[0, 1], [0, 0]], []),
    ],
)
def test_a_layer_whose_spikes_say_nothing_is_named_and_a_read_out_is_not(
    frames: list[list[int]], said: list[str]
) -> None:
    net = network(1)
    lines = Verdict(compared(net, frames), spiking=spiking_layers([net])).message().splitlines()
    assert lines[0].startswith("identical in engine, engine: 2 layers, 2 frames, 8 neurons")
    assert lines[1:] == said


def test_what_is_silent_on_one_target_and_not_on_another_says_something() -> None:
    net = network(1)
    both = joined([compared(net, [[0, 0]]), compared(net, [[1, 1]])])
    assert len(Verdict(both, spiking=spiking_layers([net])).message().splitlines()) == 1
