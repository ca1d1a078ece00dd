"""Networks of every kind go to disk in both formats and come back equal."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from netx import (
    LIF,
    Accumulator,
    Concat,
    Conv2d,
    Correlation,
    Dense,
    Flatten,
    FormatError,
    Input,
    Layer,
    Network,
    Neuron,
    Pool,
    Shape,
    Upsample,
)
from netx.bundle import load, parts, save
from netx.synapses import Synapse

RANDOM = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])


@st.composite
def conv(draw: st.DrawFn, source: Shape) -> Conv2d:
    divisors = [n for n in range(1, source.channel + 1) if source.channel % n == 0]
    groups = draw(st.sampled_from(divisors))
    out = groups * draw(st.integers(1, 3))
    kernel = draw(st.integers(1, source.height)), draw(st.integers(1, source.width))
    exponent = draw(st.integers(-2, 2))
    step = 1 << max(-exponent, 0)
    limit = 255 >> max(exponent, 0)
    random = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    weight = random.integers(-limit // step, limit // step + 1, (out, source.channel // groups, *kernel)) * step
    pair = st.tuples(st.integers(1, 2), st.integers(1, 2))
    padding = draw(st.tuples(st.integers(0, 1), st.integers(0, 1)))
    sizes = zip(kernel, (source.height, source.width), strict=True)
    dilation = tuple(draw(st.integers(1, 2 if 2 * k - 1 <= size else 1)) for k, size in sizes)
    return Conv2d(weight, draw(pair), padding, dilation, groups, exponent)


@st.composite
def dense(draw: st.DrawFn, source: Shape) -> Dense:
    random = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    low, high = draw(st.sampled_from([(-256, 255), (-100, 100), (0, 255), (-256, 0), (0, 0)]))
    return Dense(random.integers(low, high + 1, (draw(st.integers(1, 5)), source.size)))


@st.composite
def lif(draw: st.DrawFn, channels: int, remembers: bool) -> LIF:
    exponent = draw(st.integers(4, 7))
    step = 1 << max(6 - exponent, 0)
    bias = draw(st.lists(st.integers(-4000, 4000).map(lambda b: b * step), min_size=channels, max_size=channels))
    decays = draw(st.tuples(st.integers(0, 4096), st.integers(0, 4096))) if remembers else (4096, 4096)
    return LIF(draw(st.integers(-131071, 262143)), bias if draw(st.booleans()) else [], exponent, *decays)


@st.composite
def chain(draw: st.DrawFn, source: str, shape: Shape, prefix: str, remembers: bool, reads_out: bool) -> list[Layer]:
    """One to four layers from ``source``, maybe flattened into dense ones, maybe with an accumulator at the end."""
    layers: list[Layer] = []
    flat = False
    count = draw(st.integers(1, 4))
    for index in range(count):
        synapse: Synapse
        kind = draw(st.sampled_from(["dense"] if flat else ["conv", "conv", "pool", "dense"]))
        if kind == "dense" and not flat:
            layers.append(Layer(f"{prefix}flat", (source,), Flatten()))
            source, flat = f"{prefix}flat", True
        if kind == "dense":
            synapse = draw(dense(shape))
            shape = Shape(synapse.weight.shape[0], 1, 1)
        else:
            pool = Pool((min(2, shape.height), min(2, shape.width)), draw(st.integers(1, 2)), weight=3)
            synapse = pool if kind == "pool" else draw(conv(shape))
            shape = synapse.output_shape((shape,))
        neuron: Neuron = draw(lif(shape.channel, remembers))
        if index == count - 1 and reads_out:
            neuron = Accumulator(neuron.bias % 1000)
        layers.append(Layer(f"{prefix}{index}", (source,), synapse, neuron))
        source = layers[-1].name
    return layers


@st.composite
def single_chains(draw: st.DrawFn, remembers: bool) -> Network:
    shape = Shape(draw(st.integers(1, 4)), draw(st.integers(1, 6)), draw(st.integers(1, 6)))
    source = Input("pixels", shape, draw(st.sampled_from([(0, 1), (0, 255), (-128, 127)])))
    layers = draw(chain("pixels", shape, "layer", remembers, draw(st.booleans())))
    return Network((source,), tuple(layers), (layers[-1].name,))


@st.composite
def siamese(draw: st.DrawFn) -> Network:
    """Two branches that meet in a correlation, a fork behind it, and a concatenation; three outputs."""
    random = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    copies = draw(st.integers(1, 3))
    weight = random.integers(-256, 256, (4, 2, 3, 3))
    bias = random.integers(-30000, 30000, 4 * copies)
    heads = [random.integers(-256, 256, (n, 4 * copies, 1, 1)) for n in (2, 3)]
    return Network(
        (Input("template", Shape(2, 6, 6), (0, 15)), Input("search", Shape(2, 12, 12), (0, 15))),
        (
            Layer("template_conv", ("template",), Conv2d(weight), LIF(201)),
            Layer("search_conv", ("search",), Conv2d(weight), LIF(201)),
            Layer("search_pool", ("search_conv",), Pool(2, 1, weight=2), LIF(1)),
            Layer("correlation", ("search_pool", "template_conv"), Correlation(3, copies), LIF(9, bias, 6)),
            Layer("score", ("correlation",), Conv2d(heads[0]), Accumulator([4, -5])),
            Layer("box", ("correlation",), Conv2d(heads[1]), LIF(7)),
            Layer("both", ("score", "box"), Concat()),
            Layer("flat", ("both",), Flatten()),
            Layer("last", ("flat",), Dense(random.integers(-9, 9, (2, 5 * 6 * 6))), Accumulator()),
            Layer("flat_score", ("score",), Flatten()),
            Layer("near", ("box",), Upsample((2, 1))),
            Layer("apart", ("box",), Upsample((2, 3), zeros=True, trailing=(1, 2))),
            Layer("beside", ("near", "near"), Concat()),
            Layer("fine", ("beside",), Conv2d(random.integers(-9, 9, (2, 6, 1, 1))), LIF(7)),
        ),
        ("last", "box", "flat_score", "fine", "apart"),
    )


def saved_and_loaded(network: Network, name: str, **options: str) -> Network:
    with tempfile.TemporaryDirectory() as folder:
        save(network, Path(folder) / name, **options)  # type: ignore[arg-type]
        return load(Path(folder) / name)


@RANDOM
@given(single_chains(remembers=True))
def test_any_chain_survives_a_net_file(network: Network) -> None:
    assert saved_and_loaded(network, "chain.net") == network


@RANDOM
@given(single_chains(remembers=False))
def test_any_memoryless_chain_with_kernels_that_can_be_square_survives_a_nir_file(network: Network) -> None:
    try:
        loaded = saved_and_loaded(network, "chain.nir")
    except FormatError as error:
        if "square" not in str(error):
            raise
        assume(False)
    assert loaded == network


@settings(max_examples=10, deadline=None)
@given(siamese(), st.sampled_from(["net", "nir"]))
def test_a_siamese_network_survives_a_folder(network: Network, format_: str) -> None:
    assert saved_and_loaded(network, "network", format=format_) == network


@pytest.mark.parametrize("format_", ["net", "nir"])
def test_the_parts_of_a_folder_are_its_longest_chains_without_the_glue(format_: str, tmp_path: Path) -> None:
    weight = np.full((1, 1, 1, 1), 2)
    network = Network(
        (Input("a", Shape(1, 4, 4)), Input("b", Shape(1, 4, 4))),
        (
            Layer("a1", ("a",), Conv2d(weight), LIF(1)),
            Layer("b1", ("b",), Conv2d(weight), LIF(1)),
            Layer("a2", ("a1",), Conv2d(weight), LIF(1)),
            Layer("ab", ("a2", "b1"), Concat()),
            Layer("flat", ("ab",), Flatten()),
            Layer("end", ("flat",), Dense(np.full((2, 32), 2)), LIF(1)),
        ),
        ("end", "a1"),
    )
    save(network, tmp_path / "folder", format=format_)  # type: ignore[arg-type]
    found = [(part.source, part.layers) for part in parts(tmp_path / "folder")]
    assert found == [("a", ("a1",)), ("b", ("b1",)), ("a1", ("a2",)), ("ab", ("end",))]
    assert all(part.file.parent == tmp_path / "folder" for part in parts(tmp_path / "folder"))


def test_a_single_file_is_one_part(tmp_path: Path) -> None:
    layers = (
        Layer("flat", ("pixels",), Flatten()),
        Layer("end", ("flat",), Dense(np.full((2, 8), 2)), LIF(1)),
    )
    save(Network((Input("pixels", Shape(2, 2, 2)),), layers, ("end",)), tmp_path / "one.nir")
    [part] = parts(tmp_path / "one.nir")
    assert (part.file, part.source, part.layers) == (tmp_path / "one.nir", "pixels", ("end",))


def test_saving_again_replaces_a_network_but_nothing_else(tmp_path: Path) -> None:
    one, two = (
        Network((Input("x", Shape(1, 2, 2)),), (Layer("y", ("x",), Conv2d([[[[n]]]]), LIF(1)),), ("y",)) for n in (2, 4)
    )
    save(one, tmp_path / "network")
    save(two, tmp_path / "network", format="nir")
    assert load(tmp_path / "network") == two
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "holiday.jpg").write_bytes(b"picture")
    with pytest.raises(FormatError, match="something else"):
        save(one, tmp_path / "photos")
    assert (tmp_path / "photos" / "holiday.jpg").read_bytes() == b"picture"
