"""The student is the integer network it becomes: an independent integer model gives the same spikes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from lava.lib.dl import slayer
from scipy.signal import correlate

from netx import LIF, Conv2d, prove_headroom
from pipeline.deploy.config import load_config
from pipeline.models.quantisation import ChannelBias, quantise_even
from pipeline.tasks.tracking.demo_convert import record_search, record_template, to_network
from pipeline.tasks.tracking.demo_student import Student
from quantize.slayer import QuantizeError, odd_threshold, read_conv, read_lif


def crops(count: int, side: int) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8)


@pytest.fixture(scope="module")
def student(tiny_run) -> Student:
    """A student whose biases are not zero, in evaluation mode."""
    torch.manual_seed(5)
    student = Student(load_config(tiny_run).student)
    with torch.no_grad():
        student.train()
        student(crops(4, 24), crops(4, 48))
    return student.eval()


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(6)
    return rng.integers(-16, 16, (3, 3, 24, 24)), rng.integers(-16, 16, (4, 3, 48, 48))


def even(values: torch.Tensor, low: int, high: int) -> np.ndarray:
    """The even integer nearest to 64 times a value; of two as near, the one that is a multiple of four."""
    return np.clip(2 * np.rint(values.detach().double().numpy() * 32), low, high).astype(np.int64)


def conv(x: np.ndarray, weight: np.ndarray, stride: int, padding: int) -> np.ndarray:
    padded = np.pad(x, [(0, 0), (padding, padding), (padding, padding)])
    full = [sum(correlate(padded[i], kernel[i], "valid") for i in range(len(padded))) for kernel in weight]
    return np.stack(full)[:, ::stride, ::stride]


def expected_layers(student: Student, template: np.ndarray, search: np.ndarray) -> dict[str, tuple]:
    """(membrane, spikes) of every layer of one frame, in int64 from the student's parameters alone."""
    result = {}

    def fire(name, activation, norm, threshold):
        bias = even(norm.offset - norm.running_mean, -4096, 4094)
        membrane = activation + bias[:, None, None]
        result[name] = membrane, membrane > threshold
        return (membrane > threshold).astype(np.int64)

    def chain(names, blocks, layers, x):
        for name, block, layer in zip(names, blocks, layers, strict=True):
            weight = even(block.synapse.weight[..., 0], -256, 254)
            x = fire(name, conv(x, weight, layer.stride, layer.padding), block.neuron.norm, layer.threshold)
        return x

    config = student.config
    features = {
        branch: chain([f"{branch}_conv1", f"{branch}_conv2"], student.backbone, config.backbone, image)
        for branch, image in (("template", template), ("search", search))
    }
    counts = np.stack([correlate(s, t, "valid") for s, t in zip(features["search"], features["template"], strict=True)])
    current = np.repeat(counts * config.correlation.gain, config.correlation.copies, axis=0)
    x = fire("correlation", current, student.correlation.norm, config.correlation.threshold)
    x = chain(["tower1"], student.tower, config.tower, x)
    for name, synapse in student.readouts.items():
        bias = even(student.readout_bias[name].offset, -4096, 4094)
        weight = even(synapse.weight[..., 0], -256, 254)
        result[name] = conv(x, weight, 1, 1) + bias[:, None, None], None
    return result


def test_slayer_gives_the_spikes_and_read_outs_of_an_independent_integer_model(student, images):
    templates, searches = images
    template = record_template(student, templates)
    search = record_search(student, template.spikes["template_conv2"][0], searches)
    for frame in range(len(searches)):
        for name, (membrane, spikes) in expected_layers(student, templates[0], searches[frame]).items():
            recording, at = (template, 0) if name.startswith("template") else (search, frame)
            np.testing.assert_array_equal(recording.membranes[name][at], membrane, err_msg=name)
            if spikes is not None:
                np.testing.assert_array_equal(recording.spikes[name][at], spikes, err_msg=name)
    assert 0.02 < search.spikes["correlation"].mean() < 0.98, "a network that is silent shows nothing"


def test_slayers_own_block_forward_gives_the_recorded_spikes(student, images):
    spikes = torch.from_numpy(images[0]).float()[..., None]
    for block, (expected, _) in zip(student.backbone, student.backbone_spikes(spikes[..., 0]), strict=True):
        block.neuron.shape = None
        block.neuron.current_state = block.neuron.voltage_state = torch.zeros(1)
        spikes = block(spikes)
        assert torch.equal(spikes[..., 0], expected)


def test_the_network_shares_the_weights_of_its_branches_and_ends_in_three_read_outs(student):
    network = to_network(student)
    assert network.outputs == ("class", "centre", "box")
    assert [source.name for source in network.inputs] == ["template", "search"]
    for index in (1, 2):
        template, search = (network.layer(f"{branch}_conv{index}") for branch in ("template", "search"))
        assert template.synapse == search.synapse
        assert template.neuron == search.neuron
    for layer in network.layers:
        if isinstance(layer.neuron, LIF):
            assert layer.neuron.threshold % 2 == 1
        if isinstance(layer.synapse, Conv2d):
            assert not (layer.synapse.weight % 2).any()


def test_the_float_reference_differs_from_the_quantised_student_and_leaves_it_as_it_was(student):
    template, search = crops(1, 24), crops(1, 48)
    before = student(template, search)["class"]
    with student.float_weights():
        real = student(template, search)["class"]
    assert not torch.equal(before, real)
    assert torch.equal(student(template, search)["class"], before)


def test_the_top_bits_of_a_crop_enter_as_signed_integers(student):
    levels = student.images(torch.tensor([0, 7, 8, 128, 255], dtype=torch.uint8).expand(1, 3, 1, 5))
    assert levels[0, 0, 0].tolist() == [-16, -16, -15, 0, 15]


def test_projection_keeps_the_first_layer_within_its_proof(tiny_run):
    student = Student(load_config(tiny_run).student)
    with torch.no_grad():
        student.backbone[0].synapse.weight.fill_(3.9)  # 75 weights of 250 and pixels of 16: 300,000
    student.project()
    bounds = {bound.layer: bound for bound in prove_headroom(to_network(student.eval()))}
    assert bounds["search_conv1"].worst_case > 0.9 * 131071


def test_quantising_rounds_to_even_integers_and_passes_the_gradient():
    values = torch.tensor([1e4, 0.0, 1.01 / 64, 3.01 / 64, -1.01 / 64, 300 / 64, -300 / 64], requires_grad=True)
    quantised = quantise_even(values, -256, 254)
    assert (quantised * 64).tolist() == [254, 0, 2, 4, -2, 254, -256]
    quantised.sum().backward()
    assert values.grad.tolist() == [1.0] * 7


def test_an_odd_threshold_decides_as_slayer_does_on_even_membranes():
    # SLAYER fires at equality from 4096 weight units on (its epsilon drowns in float32), and above it below.
    for threshold in (80, 81, 4094, 4095, 4096, 5000):
        neuron = slayer.neuron.cuba.Neuron(threshold / 64, current_decay=1.0, voltage_decay=1.0)
        membranes = torch.arange(threshold - 6, threshold + 7)
        membranes = membranes[membranes % 2 == 0]
        spikes = neuron((membranes / 64.0).reshape(1, -1, 1)).flatten().bool()
        assert torch.equal(spikes, membranes > odd_threshold(threshold)), threshold


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"voltage_decay": 0.5}, r"layer 'it': decays are 4096 and 2048 of 4096, so it keeps state"),
        ({"current_decay": 0.9}, r"layer 'it': decays are 3686 and 4096"),
    ],
)
def test_a_neuron_that_keeps_state_is_refused(change, complaint):
    parameters = {"threshold": 1.0, "current_decay": 1.0, "voltage_decay": 1.0, **change}
    with pytest.raises(QuantizeError, match=complaint):
        read_lif(slayer.neuron.cuba.Neuron(**parameters), torch.zeros(2), "it")


def test_what_is_no_even_integer_is_refused_with_its_place():
    neuron = slayer.neuron.cuba.Neuron(threshold=1.0, current_decay=1.0, voltage_decay=1.0)
    with pytest.raises(QuantizeError, match=r"layer 'it', bias\[1\] is 3.0: expected an even integer"):
        read_lif(neuron, torch.tensor([2.0, 3.0]) / 64, "it")
    with pytest.raises(QuantizeError, match=r"layer 'it', bias\[0\] is nan"):
        read_lif(neuron, torch.tensor([float("nan")]), "it")
    with pytest.raises(QuantizeError, match=r"channel 1: bias 5000 does not fit the chip's 13 bits"):
        read_lif(neuron, torch.tensor([2.0, 5000.0]) / 64, "it")
    with pytest.raises(QuantizeError, match=r"layer 'it': its SLAYER synapse has no quantiser"):
        read_conv(slayer.synapse.Conv(2, 2, 3), "it")


def test_the_bias_follows_the_batch_until_it_is_frozen():
    norm = ChannelBias(2, centred=True, momentum=0.5).train()
    current = torch.stack([torch.full((3, 3, 1), 2.0), torch.full((3, 3, 1), -1.0)])[None]
    assert norm(current).abs().max() == 0
    assert norm.running_mean.tolist() == [1.0, -0.5]
    norm.frozen = True
    assert norm(current)[0, :, 0, 0, 0].tolist() == [1.0, -0.5]
    assert norm.running_mean.tolist() == [1.0, -0.5]
