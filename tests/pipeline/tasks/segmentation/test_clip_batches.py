"""Clips for training: masks go where their pixels go, and batches depend on the seed and the step alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from netx.errors import MonospikeError
from pipeline.datasets.label_masks import VOID
from pipeline.datasets.pictures import open_pictures
from pipeline.datasets.synthetic.compose import compose, compose_masked
from pipeline.datasets.synthetic.composition import CompositionSpec
from pipeline.tasks.segmentation.augmentation import MaskedClip, affine_matrix, transformed, varied
from pipeline.tasks.segmentation.data_config import AugmentationConfig, ClipConfig, ComposedMasks, MaskedVideos
from pipeline.tasks.segmentation.sampling import ClipBatches, empty_batch, relabelled

SMALL = CompositionSpec(frames=3, height=96, width=128, object_size=(20, 30), occlusion=1.0, distractors=4)
STILL = AugmentationConfig(scale=(1, 1), degrees=0, shear=0, focus=0, colour=0, flip=0)
"""A clip as it is."""


def test_composed_masks_are_of_the_frames_and_boxes_of_compose() -> None:
    """Where nothing lies over the object its mask's bounds are the box that compose gives."""
    pictures = open_pictures()
    for seed in range(6):
        clip, (frames, masks) = compose(pictures, SMALL, seed), compose_masked(pictures, SMALL, seed)
        assert np.array_equal(frames, clip.frames)
        assert masks.shape == frames.shape[:3]
        # Nothing passes over it in the first frame.
        assert cv2.boundingRect((masks[0] == 1).astype(np.uint8)) == tuple(clip.boxes[0])
        for mask, (x, y, width, height) in zip(masks, clip.boxes.astype(int), strict=True):
            mask[y : y + height, x : x + width][mask[y : y + height, x : x + width] == 1] = 0
            assert not (mask == 1).any(), "none of it lies outside its box"


def test_what_lies_above_hides_what_lies_below() -> None:
    """Without light and noise a thing's pixels are those that change when it is drawn: each label marks such alone."""
    calm = SMALL.model_copy(update={"light": 0.0, "noise": 0.0, "distractors": 0, "occlusion": 0.0, "frames": 4})
    hidden = calm.model_copy(update={"occlusion": 1.0})
    pictures, covered = open_pictures(), 0
    for seed in range(12):
        (bare, masks), (frames, less) = (compose_masked(pictures, spec, seed) for spec in (calm, hidden))
        lost = (masks == 1) & (less == 0)
        assert not ((masks == 0) & (less == 1)).any()
        assert (frames != bare).any(axis=3)[lost].mean() > 0.9 if lost.any() else True
        covered += int(lost.sum())
    assert covered > 100, "something was hidden in one of them"


def clip_of_colours(height: int = 80, width: int = 120) -> MaskedClip:
    """Two frames; object k is of red 50 k, on black, and the second frame's are elsewhere."""
    masks = np.zeros((2, height, width), np.uint8)
    masks[0, 20:60, 20:50], masks[0, 30:70, 60:100] = 1, 2
    masks[1, 10:50, 40:70], masks[1, 30:60, 80:110] = 1, 2
    frames = np.zeros((2, height, width, 3), np.uint8)
    frames[..., 0] = 50 * masks
    return MaskedClip(frames, masks)


@pytest.mark.parametrize("seed", range(6))
def test_a_mask_goes_where_its_pixels_go(seed: int) -> None:
    """Labels are reckoned from the red of the varied frames, but for pixels at edges, which are mixed."""
    config = AugmentationConfig(degrees=40, shear=15, scale=(0.5, 2.0), colour=0)
    got = varied(clip_of_colours(), 64, 96, config, np.random.default_rng(seed))
    assert (got.frames.shape, got.masks.shape) == ((2, 64, 96, 3), (2, 64, 96))
    red, green = got.frames[..., 0].astype(int), got.frames[..., 1]
    pure = (green == 0) & np.isin(red, (0, 50, 100))
    assert (got.masks == red // 50)[pure].mean() > 0.995
    assert pure.mean() > 0.3
    outside = green == 114
    assert not got.masks[outside].any()


def test_the_matrix_is_of_edges_of_pixels() -> None:
    """Every pixel of the mask is looked up by hand: its middle, through the inverse."""
    clip, random = clip_of_colours(), np.random.default_rng(3)
    matrix = affine_matrix(clip, 64, 96, AugmentationConfig(degrees=30, shear=10), random)
    got = transformed(clip, matrix, 64, 96).masks
    inverse = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))
    y, x = np.mgrid[:64, :96] + 0.5
    back = np.einsum("ij,jyx->iyx", inverse, np.stack([x, y, np.ones_like(x)]))
    column, row = (np.floor(axis).astype(int) for axis in back[:2])
    inside = (column >= 0) & (column < 120) & (row >= 0) & (row < 80)
    expected = np.where(inside, clip.masks[:, np.clip(row, 0, 79), np.clip(column, 0, 119)], 0)
    assert (got == expected).mean() > 0.995


@pytest.mark.parametrize("seed", range(5))
def test_a_window_around_an_object_shows_its_pixel_and_stays_in_the_frame(seed: int) -> None:
    clip = clip_of_colours()
    clip.masks[0][:] = 0
    clip.masks[0, 70, 110] = 1  # near the lower right corner
    config = STILL.model_copy(update={"focus": 1.0, "scale": (2.0, 2.0)})
    matrix = affine_matrix(clip, 40, 60, config, np.random.default_rng(seed))
    # By hand: scale is 2 x 1/2, so 60 x 40 of 120 x 80 pixels are seen, and no farther than to the corner.
    np.testing.assert_allclose(matrix, [[1, 0, -60], [0, 1, -40]], atol=1e-12)


def test_a_clip_as_it_is_stays_as_it_is() -> None:
    clip = clip_of_colours(64, 96)
    got = varied(clip, 64, 96, STILL, np.random.default_rng(0))
    assert np.array_equal(got.frames, clip.frames)
    assert np.array_equal(got.masks, clip.masks)


def test_a_mirrored_clip_is_mirrored_whole_and_colours_change_alike_in_all_frames() -> None:
    clip = clip_of_colours(64, 96)
    config = STILL.model_copy(update={"flip": 1.0})
    got = varied(clip, 64, 96, config, np.random.default_rng(0))
    assert np.array_equal(got.masks, clip.masks[:, :, ::-1])
    assert np.array_equal(got.frames, clip.frames[:, :, ::-1])
    other = varied(clip, 64, 96, STILL.model_copy(update={"colour": 1.0}), np.random.default_rng(1))
    assert np.array_equal(other.masks, clip.masks)
    for label in range(3):
        colours = [np.unique(other.frames[t][other.masks[t] == label], axis=0) for t in range(2)]
        assert len(colours[0]) == 1
        assert np.array_equal(*colours)
    assert not np.array_equal(other.frames, clip.frames)


def test_objects_are_those_of_the_first_frame_and_void_stays() -> None:
    masks = np.zeros((2, 20, 20), np.uint8)
    masks[0, :5], masks[0, 5:10], masks[0, 10, :3], masks[0, 11] = 7, 9, 4, VOID
    masks[1, :5], masks[1, 5:10], masks[1, 15:] = 7, 9, 3
    got = relabelled(masks, 5, np.random.default_rng(0))
    # Object 4 has 3 pixels, and 3 appears later: both are background.
    assert sorted(np.unique(got).tolist()) == [0, 1, 2, VOID]
    assert np.array_equal(got == VOID, masks == VOID)
    assert not got[1, 15:].any()
    assert {int(got[0, 0, 0]), int(got[0, 5, 0])} == {1, 2}
    one = {tuple(np.unique(relabelled(masks, 1, np.random.default_rng(s))[:, :10, 0]).tolist()) for s in range(8)}
    assert one == {(0, 1)}, "either is taken, and the other is background"


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sequences of ten frames whose red is their number tenfold; the object is a square that moves."""
    root = tmp_path_factory.mktemp("videos")
    for name in "ab":
        for number in range(10):
            frame, mask = np.full((48, 64, 3), 10 * number, np.uint8), np.zeros((48, 64), np.uint8)
            frame[..., 1] = 200 if name == "a" else 100
            mask[10:30, 5 + number : 25 + number] = 255
            for kind, pixels, suffix in (("img", frame, "png"), ("mask", mask, "png")):
                (root / name / kind).mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(root / name / kind / f"{number:04}.{suffix}")
    return root


def config_of(*sources: ComposedMasks | MaskedVideos, **how: object) -> ClipConfig:
    return ClipConfig(sources=sources, **{"frames": 3, "height": 48, "width": 64, **how})


COMPOSED = ComposedMasks(kind="composed", composition=SMALL)


def test_a_step_is_the_same_whenever_it_is_drawn_and_other_seeds_steps_and_ranks_are_not(videos: Path) -> None:
    config = config_of(COMPOSED, MaskedVideos(kind="masked", root=str(videos)))
    forward = ClipBatches(config, 2, steps=10, seed=1)
    drawn = [forward[step] for step in range(4)]
    late = ClipBatches(config, 2, steps=10, seed=1)[3]
    for name in ("frames", "masks", "objects"):
        assert torch.equal(late[name], drawn[3][name])
    others = [drawn[2], ClipBatches(config, 2, 10, seed=2)[3], ClipBatches(config, 2, 10, seed=1, rank=1)[3]]
    assert not any(torch.equal(late["frames"], other["frames"]) for other in others)
    assert len(forward) == 10


def test_frames_are_float_in_0_to_255_and_masks_are_labels() -> None:
    for step in range(3):
        batch = ClipBatches(config_of(COMPOSED, objects=2), 2, steps=3, seed=5)[step]
        assert batch.inputs == ("frames", "masks")
        assert (batch["frames"].dtype, batch["frames"].shape) == (torch.float32, (2, 3, 3, 48, 64))
        assert (batch["masks"].dtype, batch["masks"].shape) == (torch.int64, (2, 3, 48, 64))
        assert 100 < batch["frames"].max() <= 255
        for masks, count in zip(batch["masks"], batch["objects"], strict=True):
            assert masks[0].unique().tolist() == list(range(int(masks[0].min()), int(count) + 1))
            assert 1 <= count <= 2


def test_clips_of_videos_keep_their_order_and_their_gaps(videos: Path) -> None:
    """The frames' red tells their numbers; they go forwards or backwards by 1 to 3."""
    source = MaskedVideos(kind="masked", root=str(videos), gap=3)
    batches = ClipBatches(config_of(source, augmentation=STILL), 30, steps=1, seed=2)
    batch = batches[0]
    numbers = (batch["frames"][:, :, 0, 0, 0] / 10).long()
    steps = numbers.diff(dim=1)
    assert set(steps.abs().unique().tolist()) == {1, 2, 3}
    assert ((steps > 0).all(dim=1) | (steps < 0).all(dim=1)).all()
    assert (steps > 0).any()
    assert (steps < 0).any()
    assert set(batch["frames"][:, 0, 1, 0, 0].tolist()) == {100.0, 200.0}
    for masks, shown in zip(batch["masks"], numbers, strict=True):
        for mask, number in zip(masks, shown.tolist(), strict=True):
            assert cv2.boundingRect(mask.numpy().astype(np.uint8)) == (5 + number, 10, 20, 20)


def test_a_clip_longer_than_its_video_stands_still(videos: Path) -> None:
    source = MaskedVideos(kind="masked", root=str(videos), gap=1)
    batch = ClipBatches(config_of(source, augmentation=STILL, frames=12), 2, steps=1, seed=2)[0]
    numbers = (batch["frames"][0, :, 0, 0, 0] / 10).long().tolist()
    assert sorted(numbers) == [*range(10), 9, 9]


def test_of_davis_the_training_sequences_are_trained_on(tmp_path: Path, videos: Path) -> None:
    """Also where nobody has said so: only the sequence a, whose green is 200, is one."""
    for name in "ab":
        for kind, inner in (("img", "JPEGImages"), ("mask", "Annotations")):
            (tmp_path / inner / "480p").mkdir(parents=True, exist_ok=True)
            shutil.copytree(videos / name / kind, tmp_path / inner / "480p" / name)
    (tmp_path / "ImageSets" / "2017").mkdir(parents=True)
    for split, name in (("train", "a"), ("val", "b")):
        (tmp_path / "ImageSets" / "2017" / f"{split}.txt").write_text(name)
    for layout in ("auto", "davis17"):
        source = MaskedVideos(kind="masked", root=str(tmp_path), layout=layout)
        batch = ClipBatches(config_of(source, augmentation=STILL), 8, steps=1, seed=2)[0]
        assert set(batch["frames"][:, :, 1].unique().tolist()) == {200.0}


def test_bad_sources_are_named(tmp_path: Path, videos: Path) -> None:
    with pytest.raises(MonospikeError, match="there is no such folder of videos with masks"):
        ClipBatches(config_of(MaskedVideos(kind="masked", root=str(tmp_path / "gone"))), 2, 1, 0)
    with pytest.raises(ValidationError, match="'val' is for testing alone"):
        MaskedVideos(kind="masked", root=str(videos), split="val")
    # A window in which 20 x 20 pixels become less than 16.
    tiny = config_of(MaskedVideos(kind="masked", root=str(videos)), augmentation=AugmentationConfig(scale=(0.1, 0.1)))
    with pytest.raises(MonospikeError, match="none of 20 clips had an object of 16 pixels"):
        _ = ClipBatches(tiny, 2, 1, 0)[0]


def test_an_empty_batch_is_as_a_drawn_one() -> None:
    config = config_of(COMPOSED)
    drawn, empty = ClipBatches(config, 1, 1, 0)[0], empty_batch(config)
    assert {name: (t.dtype, t.shape) for name, t in drawn.tensors.items()} == {
        name: (t.dtype, t.shape) for name, t in empty.tensors.items()
    }
    assert empty["objects"].tolist() == [1]


def test_real_videos_give_clips(shared_data: Path) -> None:
    """DAVIS's training sequences, reduced; every clip has its object in its first frame."""
    source = MaskedVideos(kind="masked", root=str(shared_data / "vos"), split="train")
    batch = ClipBatches(config_of(source), 6, steps=1, seed=3)[0]
    assert batch["objects"].tolist() == [1] * 6
    assert all((mask == 1).sum() >= 16 for mask in batch["masks"][:, 0])
    assert batch["frames"].std() > 20
