"""Batches of a detector's training depend on the seed and the step alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.datasets.detection import DetectionSet, LabelledPicture
from pipeline.tasks.detection.data_config import AugmentationConfig
from pipeline.tasks.detection.sampling import DetectionBatches, empty_batch, padded

SIDE, COUNT = 64, 6
STILL = AugmentationConfig(mosaic=0, hue=0, saturation=0, value=0, flip=0, multi_scale=0)
"""Pictures as they are."""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> DetectionSet:
    """Six pictures of one colour each, their number tenfold, with as many objects as their number; each has a crowd
    more, and those of odd numbers a difficult object first."""
    folder, found = tmp_path_factory.mktemp("pictures"), []
    for number in range(COUNT):
        file = folder / f"{number}.png"
        Image.fromarray(np.full((48, SIDE, 3), 10 * number, np.uint8)).save(file)
        boxes = np.array([[4.0 * i, 2, 4 * i + 20, 30] for i in range(number + 1)])
        crowd = np.arange(number + 1) == number
        difficult = np.arange(number + 1) < number % 2
        areas = np.full(number + 1, 560.0)
        classes = np.full(number + 1, number)
        found.append(LabelledPicture(number, file, (SIDE, 48), boxes, classes, difficult, crowd, areas))
    return DetectionSet(tuple("abcdef"), tuple(found))


def batches(pictures: DetectionSet, config: AugmentationConfig, seed: int = 1, rank: int = 0) -> DetectionBatches:
    return DetectionBatches(pictures, config, side=SIDE, batch=2, steps=40, seed=seed, rank=rank)


def test_a_step_is_the_same_whenever_it_is_drawn_and_other_seeds_steps_and_ranks_are_not(
    pictures: DetectionSet,
) -> None:
    config = AugmentationConfig(multi_scale=1)
    whole = batches(pictures, config)
    drawn = [whole[step] for step in range(12)]
    late = batches(pictures, config)[11]
    for name in ("images", "boxes"):
        assert torch.equal(late[name], drawn[11][name])
    others = [drawn[10], batches(pictures, config, seed=2)[11], batches(pictures, config, rank=1)[11]]
    assert not any(torch.equal(late["images"], other["images"]) for other in others)


def test_images_are_float_in_0_to_255_and_boxes_end_in_their_class(pictures: DetectionSet) -> None:
    batch = batches(pictures, STILL)[0]
    assert batch.inputs == ("images",)
    assert (batch["images"].dtype, batch["images"].shape) == (torch.float32, (2, 3, SIDE, SIDE))
    for image, boxes in zip(batch["images"], batch["boxes"], strict=True):
        number = int(image[0, 0, 0]) // 10
        assert (image[:, :48] == 10 * number).all()
        assert (image[:, 48:] == 114).all()
        # The crowd is left out; difficult objects are not.
        assert boxes[:number].tolist() == [[4 * i, 2, 4 * i + 20, 30, number] for i in range(number)]
        assert (boxes[number:] == torch.tensor([0.0, 0, 0, 0, -1])).all()


def test_difficult_objects_can_be_left_out(pictures: DetectionSet) -> None:
    config = STILL.model_copy(update={"difficult": False})
    for step in range(3):
        for image, boxes in zip(*batches(pictures, config)[step].tensors.values(), strict=True):
            number = int(image[0, 0, 0]) // 10
            assert int((boxes[:, 4] >= 0).sum()) == number - number % 2


def test_every_picture_comes_once_an_epoch_in_another_order_each_time(pictures: DetectionSet) -> None:
    source = batches(pictures, STILL)
    seen = [int(image[0, 0, 0]) // 10 for step in range(9) for image in source[step]["images"]]
    epochs = [seen[i : i + COUNT] for i in range(0, 18, COUNT)]
    assert all(sorted(epoch) == list(range(COUNT)) for epoch in epochs)
    assert len(set(map(tuple, epochs))) == 3


def test_sides_are_of_the_step_alike_in_every_process_and_within_their_bounds(pictures: DetectionSet) -> None:
    config = STILL.model_copy(update={"multi_scale": 1, "side_steps": 4})
    sides = [batches(pictures, config).side(step) for step in range(40)]
    assert sides == [batches(pictures, config, rank=3).side(step) for step in range(40)]
    assert set(sides) == {32, 64, 96}
    assert all(len(set(sides[i : i + 4])) == 1 for i in range(0, 40, 4))
    assert {batches(pictures, config)[step]["images"].shape[-1] for step in range(0, 40, 4)} == set(sides)


def test_the_last_steps_are_plain(pictures: DetectionSet) -> None:
    """Of 40 steps the last 5 % are 2: their pictures are of one colour and grey alone."""
    config = STILL.model_copy(update={"mosaic": 1.0, "mosaic_scale": (1.0, 1.0), "mixup": 1.0})
    source = batches(pictures, config)
    plain = [all(len(image.unique()) == 2 for image in source[step]["images"]) for step in range(40)]
    assert plain[38:] == [True, True]
    assert not any(plain[:38])


def test_padding_has_a_row_even_where_nothing_is_to_be_seen() -> None:
    assert padded([np.empty((0, 5)), np.empty((0, 5))]).tolist() == [[[0, 0, 0, 0, -1]]] * 2
    batch = empty_batch(SIDE)
    assert (batch["images"].shape, batch["boxes"].tolist()) == ((1, 3, SIDE, SIDE), [[[16, 16, 48, 48, 0]]])


def test_the_shared_pictures_can_be_drawn(shared_data: Path) -> None:
    from pipeline.datasets.config import DetectionData
    from pipeline.datasets.detection import open_detection

    found = open_detection(DetectionData(root=str(shared_data / "detection" / "train" / "raccoon")))
    source = DetectionBatches(found, AugmentationConfig(), side=160, batch=4, steps=100, seed=0)
    batch = source[3]
    shown = batch["boxes"][batch["boxes"][..., 4] >= 0]
    assert len(shown) > 0
    assert (shown[:, 2:4] > shown[:, :2]).all()
    assert shown[:, :4].max() <= batch["images"].shape[-1]
