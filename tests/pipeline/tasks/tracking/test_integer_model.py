"""The student is the integer network it becomes: an independent integer model gives the same spikes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.signal import correlate

from netx import LIF, Conv2d
from netx.difference import first_difference
from pipeline.models.recorder import recording, slayer_twin
from pipeline.tasks.tracking.checkpoint import load_model
from pipeline.tasks.tracking.models.spiking import SpikingSiamFCpp
from pipeline.tasks.tracking.models.to_network import to_network
from pipeline.tasks.tracking.scorer import crops_of
from pipeline.tasks.tracking.slayer_recording import search_outputs, template_outputs
from sim.recording import Recording

STRIDES = {"conv1": 2}
"""Of all other convolutions: 1. Behind the first two come the maxima of 3x3, stride 2 (SiamFC++-AlexNet)."""


@pytest.fixture(scope="module")
def student(checkpoint: Path) -> SpikingSiamFCpp:
    """A student whose biases are not zero, in evaluation mode."""
    model = load_model(checkpoint)
    assert isinstance(model, SpikingSiamFCpp)
    return model


@pytest.fixture(scope="module")
def images() -> tuple[np.ndarray, np.ndarray]:
    """A template and search crops, pixels of -128..127: blocks of 4, which neighbours share, and noise."""
    rng = np.random.default_rng(6)

    def crops(count: int, side: int) -> np.ndarray:
        coarse = rng.integers(-128, 72, (count, 3, side // 4 + 1, side // 4 + 1)).repeat(4, 2).repeat(4, 3)
        return (coarse[..., :side, :side] + rng.integers(0, 56, (count, 3, side, side))).astype(np.int8)

    return crops(1, 103), crops(2, 143)


def even(values: torch.Tensor, low: int, high: int) -> np.ndarray:
    """The even integer nearest to 64 times a value; of two as near, the one that is a multiple of four."""
    return np.clip(2 * np.rint(values.detach().double().numpy() * 32), low, high).astype(np.int64)


def conv(x: np.ndarray, weight: np.ndarray, stride: int) -> np.ndarray:
    full = [sum(correlate(x[i], kernel[i], "valid") for i in range(len(x))) for kernel in weight]
    return np.stack(full)[:, ::stride, ::stride]


def expected_layers(student: SpikingSiamFCpp, template: np.ndarray, search: np.ndarray) -> dict[str, tuple]:
    """(membrane, spikes) of every layer of one frame, in int64 from the student's parameters alone.

    template, search: pixels of 5 bits, -16..15.
    """
    config, result = student.config, {}

    def fire(label, activation, name):
        norm = student.neurons[name].norm
        membrane = activation + even(norm.offset - norm.running_mean, -4096, 4094)[:, None, None]
        threshold = config.correlation.threshold if name.endswith("correlation") else config.thresholds[name]
        result[label] = membrane, membrane > threshold
        return (membrane > threshold).astype(np.int64)

    def weights(name):
        return even(student.synapses[name].weight[..., 0], -256, 254)

    def backbone(role, x):
        for index in range(1, 6):
            name = f"conv{index}"
            x = fire(f"{role}_{name}", conv(x, weights(name), STRIDES.get(name, 1)), name)
            if index in (1, 2):
                rows, columns = ((side - 3) // 2 + 1 for side in x.shape[1:])
                windows = [x[:, i : i + 2 * rows : 2, j : j + 2 * columns : 2] for i in range(3) for j in range(3)]
                windows = [window[:, :rows, :columns] for window in windows]
                result[f"{role}_pool{index}"] = 2 * sum(windows), sum(windows) > 0
                x = (sum(windows) > 0).astype(np.int64)
        return x

    features = {"template": backbone("template", template), "search": backbone("search", search)}
    towers = {}
    for branch in ("class", "box"):
        kernel, searched = (
            fire(f"{branch}_{part}", conv(features[role], weights(f"{branch}_{part}"), 1), f"{branch}_{part}")
            for part, role in (("kernel", "template"), ("map", "search"))
        )
        counts = np.stack([correlate(s, k, "valid") for s, k in zip(searched, kernel, strict=True)])
        current = np.repeat(counts * config.correlation.gain, config.correlation.copies, axis=0)
        x = fire(f"{branch}_correlation", current, f"{branch}_correlation")
        towers[branch] = fire(f"{branch}_tower1", conv(x, weights(f"{branch}_tower1"), 1), f"{branch}_tower1")
    for name, branch in {"class": "class", "centre": "class", "box": "box"}.items():
        bias = even(student.biases[name].offset, -4096, 4094)
        result[name] = conv(towers[branch], weights(name), 1) + bias[:, None, None], None
    return result


def slayers(student: SpikingSiamFCpp, template: np.ndarray, search: np.ndarray) -> dict[str, Recording]:
    """What SLAYER's own blocks do with the crops."""
    twin, network = slayer_twin(student), to_network(student)
    programmed = template_outputs(twin, template)
    searching = search_outputs(twin, programmed.tensors, search)
    templates = network.template_network()
    first = recording("slayer", templates, programmed.chip_input, programmed.tensors)
    kernels = {name: first.spikes[name][0] for name in templates.outputs}
    programmed_network = network.programmed(kernels)
    return {
        "template": first,
        "search": recording("slayer", programmed_network, searching.chip_input, searching.tensors),
    }


def test_slayer_gives_the_membranes_and_spikes_of_an_independent_integer_model(student, images):
    template, searches = images
    recordings = slayers(student, template, searches)
    compared = set()
    for frame, search in enumerate(searches):
        for name, (membrane, spikes) in expected_layers(student, template[0] >> 3, search >> 3).items():
            at, found = (
                (0, recordings["template"])
                if name in recordings["template"].membranes
                else (
                    frame,
                    recordings["search"],
                )
            )
            np.testing.assert_array_equal(found.membranes[name][at], membrane, err_msg=name)
            if spikes is not None:
                np.testing.assert_array_equal(found.spikes[name][at], spikes, err_msg=name)
            compared.add(name)
    assert compared == {layer.name for layer in to_network(student).layers}
    assert 0.02 < recordings["search"].spikes["class_correlation"].mean() < 0.98, "a silent network shows nothing"


def test_the_network_shares_the_weights_of_its_branches_and_ends_in_three_read_outs(student):
    network = to_network(student)
    assert network.outputs == ("class", "centre", "box")
    assert [source.name for source in network.inputs] == ["template", "search"]
    for index in range(1, 6):
        template, search = (network.layer(f"{branch}_conv{index}") for branch in ("template", "search"))
        assert template.synapse == search.synapse
        assert template.neuron == search.neuron
    for layer in network.layers:
        if isinstance(layer.neuron, LIF):
            assert layer.neuron.threshold % 2 == 1
        if isinstance(layer.synapse, Conv2d):
            assert not (layer.synapse.weight % 2).any()


def test_the_network_of_slayers_student_is_that_of_the_plain_one(student):
    assert first_difference(to_network(student), to_network(slayer_twin(student))) is None


def test_the_float_reference_differs_from_the_quantised_student_and_leaves_it_as_it_was(student, images):
    template, search = (crops_of(crop) for crop in images)
    with torch.inference_mode():
        before = student(template, search)["class"]
        with student.float_weights():
            real = student(template, search)["class"]
        after = student(template, search)["class"]
    assert not torch.equal(before, real)
    assert torch.equal(after, before)


def test_the_top_bits_of_a_crop_enter_as_signed_integers(student):
    levels = student.images(torch.tensor([0, 7, 8, 128, 255], dtype=torch.uint8).expand(1, 3, 1, 5))
    assert levels[0, 0, 0].tolist() == [-16, -16, -15, 0, 15]
