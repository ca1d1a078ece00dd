"""The spiking student: SLAYER's bits, a step function at T = 1, the recurrence at T > 1, the network it becomes."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from netx import Accumulator, HeadroomError, Network, limits, prove_headroom
from netx.errors import MonospikeError
from pipeline.models.blocks import built_of
from pipeline.models.config import NeuronConfig, SurrogateConfig
from pipeline.models.quantisation import ChannelBias, quantise_even
from pipeline.models.slayer_layers import SlayerBlocks
from pipeline.models.spiking_layers import Neuron, derivative
from pipeline.tasks.tracking.initialisation import calibrate
from pipeline.tasks.tracking.models.config import WIDTHS, SpikingConfig
from pipeline.tasks.tracking.models.spiking import SpikingSiamFCpp
from pipeline.tasks.tracking.models.to_network import to_network
from pipeline.tasks.tracking.scorer import IntegerScorer, ModelScorer
from pipeline.training.calibration import NECK_RATE, RATE
from quantize.slayer import QuantizeError
from sim import engine, lava
from sim.recording import Recording

VARIANTS = {
    "all on the chip": {},
    "head on the host": {"head": "host"},
    "encoder and head on the host, real features": {"head": "host", "encoder": "host", "conv5": "real"},
}


def tiny(**options: object) -> SpikingConfig:
    return SpikingConfig(width=WIDTHS["tiny"], template=103, search=143, **options)


def crops(seed: int, side: int, frames: int = 2) -> torch.Tensor:
    """Random blocks of 4 pixels and noise: something that neighbours share."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 200, (frames, 3, side // 4 + 1, side // 4 + 1)).repeat(4, 2).repeat(4, 3)
    return torch.from_numpy((coarse[..., :side, :side] + rng.integers(0, 56, (frames, 3, side, side))).astype(np.uint8))


def lively(config: SpikingConfig, seed: int = 3) -> SpikingSiamFCpp:
    """An untrained student that spikes in every layer."""
    torch.manual_seed(seed)
    return calibrate(SpikingSiamFCpp(config), crops(1, 103), crops(2, 143))


def used(config: SpikingConfig) -> SpikingSiamFCpp:
    """A student whose running means have seen some batches."""
    student = lively(config)
    with torch.no_grad():
        for _ in range(3):
            student(crops(1, 103), crops(2, 143))
    return student.eval()


def as_slayer(student: SpikingSiamFCpp) -> SpikingSiamFCpp:
    return built_of(student, SlayerBlocks(student.config.neurons, student.config.surrogate))


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
def test_the_plain_student_gives_slayers_bits(options, steps):
    neurons = NeuronConfig(current_decay=0.7, voltage_decay=0.31)
    student = used(tiny(**options, time_steps=steps, neurons=neurons))
    ours, slayers = (model(crops(5, 103), crops(6, 143)) for model in (student, as_slayer(student)))
    assert ours.keys() == slayers.keys()
    for name, tensor in ours.items():
        assert torch.equal(tensor, slayers[name]), name
    for name, tensor in ours.items():
        if name.startswith("spikes"):
            assert 0 < tensor.mean() < 1, f"{name}: silence shows nothing"


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
@pytest.mark.parametrize("leaks", ["given", "learned"])
@pytest.mark.parametrize("steps", [1, 3])
def test_in_training_too_and_with_slayers_gradients_to_the_bit(options, steps, leaks):
    neurons = NeuronConfig(current_decay=0.7, voltage_decay=0.31, learn_decays=leaks == "learned")
    surrogate = SurrogateConfig(width=0.7, scale=1.3)
    student = lively(tiny(**options, time_steps=steps, neurons=neurons, surrogate=surrogate)).train()
    twin = as_slayer(student)
    for model in (student, twin):
        answer = model(crops(5, 103), crops(6, 143))
        (answer["class"].sum() + answer["centre"].square().sum() + answer["distances"].log().mean()).backward()
    theirs = dict(twin.named_parameters())
    for name, parameter in student.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert torch.equal(parameter.grad, theirs[name].grad), name
    for name, value in student.state_dict().items():
        assert torch.equal(value, twin.state_dict()[name]), name


def test_mixed_precision_changes_no_bit_of_the_answer_and_gradients_by_little():
    exact, mixed = lively(tiny()), lively(tiny())
    expected = exact(crops(5, 103), crops(6, 143))
    with torch.autocast("cpu", torch.bfloat16):
        answer = mixed(crops(5, 103), crops(6, 143))
    for name, tensor in expected.items():
        assert torch.equal(tensor, answer[name]), name
    for outcome in (expected, answer):
        outcome["class"].square().mean().backward()
    theirs = dict(exact.named_parameters())
    for name, parameter in mixed.named_parameters():
        if parameter.grad is not None and "synapses" in name:
            error = (parameter.grad - theirs[name].grad).norm() / theirs[name].grad.norm()
            assert 0 < error < 0.05, name  # bfloat16 has 8 bits


def neuron(threshold: int, **settings: object) -> Neuron:
    return Neuron(NeuronConfig(**settings), SurrogateConfig(), threshold, torch.nn.Identity())


def even_currents(steps: int, seed: int = 0) -> torch.Tensor:
    """Whole even weight units as SLAYER units, (step, 1, channel, row, column)."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy(2 * rng.integers(-150, 150, (steps, 1, 3, 9, 8)) / 64).float()


def test_what_is_pooled_at_one_step_are_spikes_and_the_neuron_that_decides_learns():
    student = lively(tiny())
    student.eval()
    tensors = student(crops(5, 103), crops(6, 143))
    for name in ("template_conv1", "search_conv2"):
        spikes, pooled = tensors[f"spikes/{name}"], tensors[f"spikes/{name.replace('conv', 'pool')}"]
        assert torch.equal(pooled[0], torch.nn.functional.max_pool2d(spikes[0], 3, 2)), name
        assert 0 < pooled.mean() < 1, name
    voltages = torch.tensor([0.9, 1.3, 2.0, 1.1, 0.2, 0.1, 1.9, 0.3, 0.4]).reshape(1, 1, 1, 3, 3).requires_grad_()
    spikes = student.neurons["conv1"].spikes(voltages)
    student._pooled("conv1", spikes, voltages).sum().backward()
    assert voltages.grad.flatten().nonzero().tolist() == [[2]], "the highest membrane, not the first that spikes"


@pytest.mark.parametrize("settings", [{}, {"voltage_decay": 0.0}, {"reset": "subtract"}, {"current_decay": 0.25}])
def test_at_one_step_leak_and_reset_make_no_difference_and_the_neuron_is_a_step_function(settings):
    current = even_currents(1)
    spikes, _ = neuron(81, **settings)(current)
    assert torch.equal(spikes.bool(), current * 64 > 81)
    assert 0.1 < spikes.mean() < 0.9


def test_at_one_step_the_gradient_of_the_decays_is_zero_and_at_two_it_is_not():
    for steps in (1, 2):
        cell = neuron(81, learn_decays=True, current_decay=0.5)
        spikes, _ = cell(even_currents(steps).requires_grad_())
        spikes.sum().backward()
        gradients = [decay.grad for decay in (cell.current_decay, cell.voltage_decay)]
        assert all((gradient is None or gradient == 0) == (steps == 1) for gradient in gradients)


@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_over_several_steps_the_neuron_follows_the_recurrence(reset):
    """In integers of 1/64 weight unit, written out: leak towards zero in 12-bit fixed point, then the reset."""
    current = even_currents(9)
    settings = {"current_decay": 0.6, "voltage_decay": 0.13, "reset": reset}
    spikes, voltages = neuron(301, **settings)(current)
    kept_current, kept_voltage = 4096 - round(0.6 * 4096), 4096 - round(0.13 * 4096)
    u = v = np.zeros(current[0].shape, dtype=np.int64)
    fired = 0
    for step, inputs in enumerate((current.numpy() * 4096).astype(np.int64)):
        u = np.sign(u) * (abs(u) * kept_current >> 12) + inputs
        v = np.sign(v) * (abs(v) * kept_voltage >> 12) + u
        np.testing.assert_array_equal(voltages[step].numpy() * 4096, v)
        above = v > 301 * 64
        np.testing.assert_array_equal(spikes[step].numpy(), above)
        v = np.where(above, v - 301 * 64 if reset == "subtract" else 0, v)
        fired += above.sum()
    assert 100 < fired < current.numel() - 100


def test_leaks_are_exact_up_to_the_largest_membranes():
    rng = np.random.default_rng(1)
    start = np.array([131071, -131071, 130999.984375, 0.015625, -0.015625, *rng.uniform(-131071, 131071, 2000)])
    start = np.trunc(start * 64).astype(np.int64)
    for decay in (0.0, 0.000244140625, 0.5, 0.123, 1.0):
        cell = neuron(131071, voltage_decay=decay, current_decay=1.0)
        current = torch.zeros(2, 1, 1, 1, len(start))
        current[0, 0, 0, 0] = torch.from_numpy(start / 4096).float()
        kept = 4096 - round(decay * 4096)
        expected = np.sign(start) * (abs(start) * kept >> 12)
        np.testing.assert_array_equal(cell(current)[1][1].flatten().double().numpy() * 4096, expected)


@pytest.mark.parametrize("shape", ["exponential", "rectangle", "triangle", "atan"])
def test_surrogates_have_area_scale_and_their_peak_at_the_threshold(shape):
    voltage = torch.linspace(-4000, 4000, 4_000_001, dtype=torch.float64)
    slope = derivative(voltage, 1.5, SurrogateConfig(shape=shape, width=0.4, scale=0.3))
    assert float(slope.sum() * 0.002) == pytest.approx(0.3, rel=1e-3)
    peak = float(voltage[slope.argmax()])
    assert abs(peak - 1.5) <= (0.6 if shape == "rectangle" else 0.002)


def test_published_surrogates_are_among_them():
    z = torch.tensor([-0.9, -0.3, 0.0, 0.4, 1.7])  # (v - threshold) / threshold
    threshold = 0.3
    voltage = threshold * (1 + z)
    triangle = derivative(voltage, threshold, SurrogateConfig(shape="triangle", scale=0.3))
    torch.testing.assert_close(triangle, 0.3 * (1 - z.abs()).clamp(min=0) / threshold)  # IIR-SNN, d/dv
    rectangle = derivative(voltage, threshold, SurrogateConfig(shape="rectangle", width=0.5 / 0.3, scale=1.0))
    torch.testing.assert_close(rectangle, ((voltage - threshold).abs() < 0.5).float())  # STBP


def run_network(student: SpikingSiamFCpp, network: Network, z: torch.Tensor, x: torch.Tensor) -> list[Recording]:
    """The engine on template and search."""
    template, search = (student.chip_input(crop).numpy().astype(np.int64) for crop in (z, x))
    chip = student.config.head == "chip"
    templates = network.template_network() if chip else network.subnetwork(["template_conv5"])
    recording = engine.run(templates, {"template": template})
    searches = network.subnetwork(["search_conv5"])
    if chip:
        searches = network.programmed({name: recording.spikes[name][0] for name in templates.outputs})
    return [recording, engine.run(searches, {"search": search})]


@torch.no_grad()
@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
def test_the_network_is_the_slayer_student_spike_by_spike(options):
    # Leaks that a pruned student may still have make no difference at its one step.
    student = as_slayer(used(tiny(**options, neurons=NeuronConfig(voltage_decay=0.2))))
    network = to_network(student)
    assert all(bound.proven for bound in prove_headroom(network))
    z, x = crops(7, 103, 1), crops(8, 143, 3)
    target = student.program(z)
    expected = {**target, **student.respond(target, x)}
    compared = 0
    for recording in run_network(student, network, z, x):
        for name, spikes in recording.spikes.items():
            assert torch.equal(expected[f"spikes/{name}"][0], torch.from_numpy(spikes).float()), name
            compared += 1
        for name, membranes in recording.membranes.items():
            if isinstance(network.layer(name).neuron, Accumulator):
                answer = expected[name] if name in expected else expected[f"membrane/{name}"][0]
                np.testing.assert_array_equal(answer.numpy() * 64, membranes, err_msg=name)
                compared += 1
    assert compared == len(network.layers)


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
def test_on_the_engine_the_tracker_sees_what_the_student_sees(options):
    student = used(tiny(**options))
    template, search = (student_pixels(crops(seed, side, 1)) for seed, side in ((7, 103), (8, 143)))
    maps = []
    for scorer in (ModelScorer(student), IntegerScorer(student)):
        scorer.program(template)
        maps.append(scorer.score(search))
    exact = 0 if student.config.head == "chip" else 1e-5  # the real-valued head may sum in another order
    np.testing.assert_allclose(maps[0].score, maps[1].score, rtol=exact)
    np.testing.assert_allclose(maps[0].distances, maps[1].distances, rtol=exact)


def student_pixels(crop: torch.Tensor) -> np.ndarray:
    return (crop.numpy().astype(np.int16) - 128).astype(np.int8)


@torch.no_grad()
@pytest.mark.lava
def test_lava_gives_the_network_of_the_student_the_same_spikes():
    student = used(tiny())
    network = to_network(student)
    recording, expected = run_network(student, network, crops(7, 103, 1), crops(8, 143, 2))
    programmed = network.programmed({n: recording.spikes[n][0] for n in network.template_network().outputs})
    result = lava.run(programmed, {"search": student.images(crops(8, 143, 2)).numpy().astype(np.int64)})
    for name, spikes in expected.spikes.items():
        np.testing.assert_array_equal(result.spikes[name], spikes, err_msg=name)


def test_a_student_of_several_steps_is_no_network():
    with pytest.raises(QuantizeError, match=r"runs 3 time steps, and only one becomes a network"):
        to_network(SpikingSiamFCpp(tiny(time_steps=3)))


def test_weights_that_could_overflow_are_shrunk_in_training_and_refused_in_a_network():
    student = SpikingSiamFCpp(tiny(pixel_bits=8))
    with torch.no_grad():
        student.synapses["conv1"].weight.fill_(3.9)
    with pytest.raises(HeadroomError, match=r"layer 'template_conv1', channel 0"):
        to_network(student)
    student.project()
    bounds = {bound.layer: bound.worst_case for bound in prove_headroom(to_network(student))}
    assert 0.3 < bounds["search_conv1"] / 131071 <= 1  # even weights of 0 or 2, where 2.8 would fill it


def test_what_slayer_does_not_have_is_refused():
    with pytest.raises(MonospikeError, match=r"reset to zero"):
        SlayerBlocks(NeuronConfig(reset="subtract"), SurrogateConfig())
    with pytest.raises(MonospikeError, match=r"exponential"):
        SlayerBlocks(NeuronConfig(), SurrogateConfig(shape="atan"))


def test_the_same_student_runs_where_lava_is_not_installed():
    script = (
        "import sys; sys.modules['lava'] = None\n"
        "import pipeline.tasks.tracking.models.spiking as s, pipeline.tasks.tracking.models.to_network\n"
        "import pipeline.tasks.tracking.models.config as c\n"
        "s.SpikingSiamFCpp(c.SpikingConfig(width=c.WIDTHS['tiny']))"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_gradient_of_a_centred_bias_is_that_of_its_formula():
    current = (64 * torch.randn(3, 4, 5, 6, 1)).round() / 64
    ours, theirs = current.clone().requires_grad_(), current.clone().requires_grad_()
    bias, offset = ChannelBias(4, centred=True), torch.zeros(4, requires_grad=True)
    mean = theirs.mean(dim=(0, 2, 3, 4))
    rounded = quantise_even(offset - mean, limits.LOIHI_BIAS_MIN, limits.LOIHI_BIAS_MAX - 1)
    expected, answer = theirs + rounded.reshape(1, -1, 1, 1, 1), bias(ours)
    assert torch.equal(answer, expected)
    weight = torch.randn_like(answer)
    for outcome in (answer, expected):
        (outcome * weight).sum().backward()
    assert torch.allclose(ours.grad, theirs.grad, atol=1e-6)
    assert torch.allclose(bias.offset.grad, offset.grad, atol=1e-5)


def test_norms_can_be_frozen():
    student = SpikingSiamFCpp(tiny()).train()
    student.freeze_norms()
    before = {n: m.running_mean.clone() for n, m in student.named_modules() if isinstance(m, ChannelBias)}
    student(crops(1, 103), crops(2, 143))
    after = {n: m.running_mean for n, m in student.named_modules() if isinstance(m, ChannelBias)}
    assert all(torch.equal(value, after[name]) for name, value in before.items())


@torch.no_grad()
def test_calibration_makes_the_wanted_share_of_neurons_spike():
    config = tiny(thresholds={"conv3": 333})
    student = lively(config).train()
    answer = student(crops(1, 103), crops(2, 143))
    assert student.config.thresholds["conv3"] == 333
    assert set(student.config.thresholds) == set(config.spiking_layers)
    for name, wanted in {"template_conv1": RATE, "template_conv5": RATE, "class_kernel": NECK_RATE}.items():
        assert abs(float(answer[f"spikes/{name}"].mean()) - wanted) < 0.03, name
    torch.manual_seed(3)
    assert torch.equal(student.synapses["conv2"].weight, SpikingSiamFCpp(config).synapses["conv2"].weight)


@pytest.mark.parametrize("encoder", ["chip", "host"])
def test_every_layer_that_spikes_or_runs_on_the_chip_says_what_it_is_for(encoder):
    student = SpikingSiamFCpp(SpikingConfig(width=WIDTHS["tiny"], template=103, search=143, encoder=encoder)).eval()
    with torch.no_grad():
        answers = student(crops(1, 103), crops(1, 143))
    roles = student.roles
    spiking = {name.removeprefix("spikes/") for name in answers if name.startswith("spikes/")}
    assert set(roles) == spiking | {"class", "centre", "box"}
    on_chip = {layer.name for layer in to_network(student).layers}
    first = {name for name, role in roles.items() if role.first}
    assert first == {"template_conv1", "search_conv1"}
    assert on_chip == (set(roles) if encoder == "chip" else set(roles) - first)
    assert {name for name, role in roles.items() if role.part == "neck"} == {
        f"{branch}_{part}" for branch in ("class", "box") for part in ("kernel", "map")
    }
    assert {name for name, role in roles.items() if role.pooling} == {name for name in roles if "_pool" in name}
    assert set(student.module_roles) == {*student.synapses, *student.neurons}
    assert student.module_roles["box"].branch == "box"
    assert student.module_roles["centre"].branch == "class"
