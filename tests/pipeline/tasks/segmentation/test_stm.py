"""The teacher against a table worked by hand, and what memory, masks of several objects and clips come to."""

from __future__ import annotations

import math

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from pipeline.models.parameters import parameter_count
from pipeline.tasks.segmentation.models.clip import Objects
from pipeline.tasks.segmentation.models.config import StmConfig
from pipeline.tasks.segmentation.models.memory import aggregated, mean_value, similarity
from pipeline.tasks.segmentation.models.stm import Stm

HEIGHT, WIDTH = 480, 864

TORCHVISIONS_RESNET50 = 25_557_032
"""Parameters as torchvision publishes them (ResNet50_Weights, num_params), of which the last stage has 14,964,736 and
the classes 2,049,000."""


@pytest.fixture(scope="module")
def published() -> Stm:
    with torch.device("meta"):
        return Stm(StmConfig(size="published", height=HEIGHT, width=WIDTH)).eval()


def test_the_published_size_has_the_parameters_of_its_parts(published) -> None:
    encoder = TORCHVISIONS_RESNET50 - 14_964_736 - 2_049_000
    masks = 2 * 49 * 64
    key_value = 9 * 1024 * (128 + 512) + 128 + 512
    block = 2 * (9 * 256 * 256 + 256)
    refinements = sum(9 * skip * 256 + 256 + 2 * block for skip in (512, 256))
    decoder = 9 * 1024 * 256 + 256 + block + refinements + 9 * 256 * 2 + 2
    model = published
    assert parameter_count(model.encoder) == encoder
    assert parameter_count(model.decoder) == decoder
    assert parameter_count(model) == 2 * encoder + masks + 2 * key_value + decoder == 38_925_570


def bottlenecks() -> dict[int, int]:
    """Multiplications of ResNet-50's first three stages (He et al., arXiv 1512.03385, table 1) a position, by the
    stride at which they are done; a stage's first block strides in its 3x3 convolution."""
    return {
        2: 49 * 3 * 64,
        4: 3 * (9 * 64 * 64 + 64 * 256) + 64 * 64 + 2 * 256 * 64 + 64 * 256 + 256 * 128,
        8: 4 * (9 * 128 * 128 + 128 * 512) + 3 * 512 * 128 + 256 * 512 + 512 * 256,
        16: 6 * (9 * 256 * 256 + 256 * 1024) + 5 * 1024 * 256 + 512 * 1024,
    }


def test_a_frame_costs_the_operations_of_the_table(published) -> None:
    positions = {stride: HEIGHT * WIDTH // stride**2 for stride in (2, 4, 8, 16)}
    backbone = sum(positions[stride] * cost for stride, cost in bottlenecks().items())
    encode = backbone + positions[16] * 9 * 1024 * 640
    memorise = encode + positions[2] * 2 * 49 * 64
    read = positions[16] ** 2 * (128 + 512)
    blocks = 9 * 256 * 256
    decode = positions[16] * (9 * 1024 * 256 + 2 * blocks)
    decode += positions[8] * (9 * 512 * 256 + 4 * blocks) + positions[4] * (9 * 256 * 256 + 4 * blocks + 9 * 256 * 2)
    model, counted = published, {}
    with torch.device("meta"):
        frames, masks = torch.zeros(1, 3, HEIGHT, WIDTH), torch.zeros(1, 1, HEIGHT, WIDTH)
        encoded = model.encode(frames)
        memory = model.memorise(frames, encoded, masks, masks)
        found = model.read(memory, encoded)
        for name, call in {
            "encode": lambda: model.encode(frames),
            "memorise": lambda: model.memorise(frames, encoded, masks, masks),
            "read": lambda: model.read(memory, encoded),
            "decode": lambda: model.decode(encoded, found),
        }.items():
            with FlopCounterMode(display=False) as counter:
                call()
            counted[name] = counter.get_total_flops()
    worked = {"encode": encode, "memorise": memorise, "read": read, "decode": decode}
    assert counted == {name: 2 * value for name, value in worked.items()}
    assert (memory.keys.shape[1:], memory.values.shape[1:]) == ((128, 1620), (512, 1620))
    assert encoded.maps["features_16"].shape == (1, 1024, 30, 54)


def test_a_position_reads_the_mean_weighted_by_the_softmax_of_scaled_products() -> None:
    keys = torch.tensor([[[1.0, 0.0, 2.0], [0.0, 1.0, 0.0]]])  # three positions of two channels
    query = torch.tensor([[[2.0], [4.0]]])
    scores = similarity(keys, query, "dot")
    assert torch.allclose(scores[0, :, 0], torch.tensor([2.0, 4.0, 4.0]) / math.sqrt(2))
    values = torch.tensor([[[1.0, 10.0, 100.0]]])
    weights = [math.exp(score / math.sqrt(2)) for score in (2, 4, 4)]
    expected = sum(w * v for w, v in zip(weights, (1, 10, 100), strict=True)) / sum(weights)
    assert mean_value(scores, values).item() == pytest.approx(expected)
    assert mean_value(scores, values, top=2).item() == pytest.approx(55)


def test_the_distance_of_binary_keys_is_hammings() -> None:
    """Less what is the same for all of the memory: the number of ones of the frame's own key."""
    generator = torch.Generator().manual_seed(3)
    keys, query = (torch.randint(0, 2, (1, 16, n), generator=generator).float() for n in (5, 4))
    scores = similarity(keys, query, "distance") * 4
    for i in range(5):
        for j in range(4):
            hamming = int((keys[0, :, i] != query[0, :, j]).sum())
            assert scores[0, i, j].item() == query[0, :, j].sum().item() - hamming


def test_objects_are_weighed_against_each_other_and_the_background() -> None:
    found = aggregated(torch.tensor([0.8, 0.5]).reshape(1, 2, 1, 1)).flatten().softmax(dim=0)
    odds = [p / (1 - p) for p in (0.2 * 0.5, 0.8, 0.5)]
    assert torch.allclose(found, torch.tensor([value / sum(odds) for value in odds]))
    certain = aggregated(torch.tensor([1.0, 0.0]).reshape(1, 2, 1, 1))
    assert certain.isfinite().all()
    assert certain.flatten().softmax(dim=0)[1] > 0.999


@pytest.fixture(scope="module")
def clips() -> tuple[torch.Tensor, torch.Tensor]:
    """Two clips of three frames, the first with two objects, the second with one."""
    masks = torch.zeros(2, 3, 32, 48, dtype=torch.int64)
    masks[:, :, 4:16, 4:20] = 1
    masks[0, :, 18:30, 24:44] = 2
    return torch.rand(2, 3, 3, 32, 48, generator=torch.Generator().manual_seed(1)) * 255, masks


def test_each_object_of_each_clip_is_one_entry(clips) -> None:
    _, masks = clips
    masks = masks[:, 0].clone()
    masks[1, 0, 0] = 255
    objects = Objects(masks)
    assert objects.clip.tolist() == [0, 0, 1]
    assert objects.first.shape == (3, 1, 32, 48)
    assert objects.first.sum(dim=(1, 2, 3)).tolist() == [192, 240, 192]
    others = objects.others(objects.first)
    assert torch.equal(others[0], objects.first[1])
    assert torch.equal(others[1], objects.first[0])
    assert not others[2].any()
    assert torch.equal(objects.apart(objects.together(objects.first)), objects.first)


def test_a_clip_answers_by_frame_and_object_and_all_of_it_learns(clips) -> None:
    torch.manual_seed(1)
    model = Stm(StmConfig(size="tiny", height=32, width=48, frozen_norms=False)).train()
    answers = model(*clips)
    assert {name: tuple(value.shape) for name, value in answers.items()} == {
        "logits": (4, 3, 32, 48),
        "class": (6, 1, 8, 12),
        "read": (6, 16, 2, 3),
        "features_4": (4, 24, 8, 12),
        "features_8": (4, 32, 4, 6),
        "features_16": (4, 96, 2, 3),
        "decoder_16": (6, 8, 2, 3),
        "decoder_8": (6, 8, 4, 6),
        "decoder_4": (6, 8, 8, 12),
    }
    chances = answers["logits"].softmax(dim=1)
    assert chances[2:, 2].max() < 1e-6, "the second clip has no second object"
    chances[:, 1].log().mean().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_later_frames_remember_what_was_found_in_those_before(clips) -> None:
    """The third frame's answer depends on what the second one, grey here or not, has left in memory."""
    torch.manual_seed(1)
    model = Stm(StmConfig(size="tiny", height=32, width=48)).eval()
    frames, masks = clips
    changed = frames.clone()
    changed[:, 1] = 114
    with torch.inference_mode():
        first, second = model(frames, masks)["logits"], model(changed, masks)["logits"]
        alone = model(frames[:, :2], masks[:, :2])["logits"]
    assert not torch.allclose(first[1], second[1])
    assert torch.allclose(first[[0, 2]], alone, atol=1e-4)


def test_frozen_norms_and_layers_stay_as_they_are_and_masks_are_learned_all_the_same(clips) -> None:
    model = Stm(StmConfig(size="tiny", height=32, width=48, frozen=4)).train()
    before = {name: value.clone() for name, value in model.named_buffers()}
    model(*clips)["logits"].square().mean().backward()
    fixed = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    layers = {name.split(".features.")[1].split(".")[0] for name in fixed}
    assert layers == {"0", "1", "2", "3"}, "in both encoders, and nothing else"
    assert {name.split(".")[0] for name in fixed} == {"encoder", "memory_encoder"}
    assert model.memory_encoder.mask.weight.grad.any()
    assert all(torch.equal(value, before[name]) for name, value in model.named_buffers())
    assert model.training
