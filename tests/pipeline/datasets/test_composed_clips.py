"""Clips composed from photographs: exact boxes, one effect at a time, everything from one seed."""

from __future__ import annotations

import hashlib

import numpy as np
import pydantic
import pytest

from pipeline.datasets.clip import Clip
from pipeline.datasets.errors import DataError
from pipeline.datasets.pictures import open_pictures
from pipeline.datasets.synthetic.compose import compose
from pipeline.datasets.synthetic.composition import CompositionSpec

CALM = CompositionSpec(
    frames=24,
    height=120,
    width=160,
    object_size=(24, 36),
    speed=0,
    agility=0,
    scale_change=0,
    stretch=0,
    rotation=0,
    outside=0,
    pan=0,
    motion_blur=0,
    light=0,
    object_light=0,
    occlusion=0,
    distractors=0,
    noise=0,
    recolour=0,
    same_picture=0,
)
"""An object that stands still before a photograph that stands still."""

LIVELY = {"speed": 0.08, "agility": 0.1, "scale_change": 0.5, "stretch": 0.3, "rotation": 60, "motion_blur": 1}


@pytest.fixture(scope="module")
def photographs() -> list[np.ndarray]:
    return list(open_pictures())


def flat(level: int) -> np.ndarray:
    return np.full((200, 260, 3), level, np.uint8)


def speckled() -> np.ndarray:
    """Bright and dark squares, so that any cut-out has texture, and never as dark as 0 or as bright as 255."""
    squares = np.random.default_rng(5).integers(60, 200, (25, 33, 3)).astype(np.uint8)
    return squares.repeat(8, axis=0).repeat(8, axis=1)


def with_effects(**effects: object) -> CompositionSpec:
    return CompositionSpec.model_validate(CALM.model_dump() | effects)


def drawn_alpha(spec: CompositionSpec, seed: int) -> tuple[Clip, np.ndarray]:
    """A clip on black, and the opacity of everything drawn in it, measured from the pixels alone.

    A pixel of opacity a and colour c is a * c on black and a * c + (1 - a) * 255 on white (Smith and Blinn, "Blue
    screen matting", SIGGRAPH 1996: the object is known from two backgrounds).
    """
    calm = spec.model_copy(update={"min_contrast": 0})
    black, white = (compose([flat(level), speckled()], calm, seed) for level in (0, 255))
    assert np.array_equal(black.boxes, white.boxes)
    return black, 1 - (white.frames.astype(float) - black.frames).mean(axis=3) / 255


def bounds_above_half(alpha: np.ndarray) -> list[float]:
    rows, columns = (alpha > 0.5).nonzero()
    return [columns.min(), rows.min(), columns.max() + 1 - columns.min(), rows.max() + 1 - rows.min()]


@pytest.mark.parametrize("seed", range(6))
def test_the_box_is_the_tight_bounds_of_what_is_drawn(seed: int) -> None:
    clip, alpha = drawn_alpha(with_effects(**LIVELY, outside=0.15), seed)
    assert clip.boxes.tolist() == [bounds_above_half(frame) for frame in alpha]


@pytest.mark.parametrize("seed", range(8))
def test_at_least_seventy_percent_of_the_object_is_inside_the_frame(seed: int) -> None:
    _, alpha = drawn_alpha(with_effects(speed=0.3, agility=0.1, outside=0.15, frames=60), seed)
    area = alpha.sum(axis=(1, 2))
    assert area.min() >= 0.69 * area.max()  # 1 % is left to rounding and the soft edge.


def test_the_object_keeps_to_the_size_asked_for() -> None:
    longer = [compose([flat(0), speckled()], CALM, seed).boxes[0, 2:].max() for seed in range(20)]
    assert min(longer) >= 24 - 2
    assert max(longer) <= 36 + 2
    assert max(longer) - min(longer) > 6


def test_a_seed_gives_the_same_bytes_and_another_seed_other_ones(photographs: list[np.ndarray]) -> None:
    def digest(seed: int) -> str:
        clip = compose(photographs, CompositionSpec(frames=8), seed)
        return hashlib.sha256(clip.frames.tobytes() + clip.boxes.tobytes()).hexdigest()

    first = digest(7)
    np.random.seed(1)  # The global state must not matter.
    assert digest(7) == first
    assert digest(8) != first


def test_a_calm_clip_stands_still(photographs: list[np.ndarray]) -> None:
    clip = compose(photographs, CALM, 3)
    assert (clip.frames == clip.frames[0]).all()
    assert (clip.boxes == clip.boxes[0]).all()


@pytest.mark.parametrize(
    "effect",
    [
        {"pan": 4.0},
        {"light": 1.0},
        {"object_light": 1.0},
        {"occlusion": 1.0},
        {"distractors": 8},
        {"noise": 10.0},
    ],
    ids=lambda effect: next(iter(effect)),
)
def test_an_effect_changes_the_picture_but_not_the_box(photographs: list[np.ndarray], effect: dict) -> None:
    calm, changed = (compose(photographs, spec, 3) for spec in (CALM, with_effects(**effect)))
    assert (calm.frames != changed.frames).any(axis=(1, 2, 3)).sum() >= 3
    assert np.array_equal(calm.boxes, changed.boxes)


@pytest.mark.parametrize("effect", [{"speed": 0.1}, {"scale_change": 0.6}, {"stretch": 0.4}, {"rotation": 90}], ids=str)
def test_an_effect_changes_the_box(photographs: list[np.ndarray], effect: dict) -> None:
    x, y, width, height = compose(photographs, with_effects(**effect, frames=60), 3).boxes.T
    if "speed" in effect:
        assert np.ptp(x) + np.ptp(y) > 5
    elif "scale_change" in effect:
        assert np.ptp(np.sqrt(width * height)) > 3
    else:
        assert np.ptp(width / height) > 0.05


def test_only_the_object_itself_follows_its_own_light(photographs: list[np.ndarray]) -> None:
    calm, lit = (compose(photographs, spec, 3) for spec in (CALM, with_effects(object_light=1.0)))
    x, y, width, height = calm.boxes[0].astype(int)
    changed = (calm.frames != lit.frames).any(axis=(0, 3))
    changed[y - 4 : y + height + 4, x - 4 : x + width + 4] = False  # Its soft edge reaches out of the box.
    assert not changed.any()


def test_motion_blur_smooths_a_moving_object_and_leaves_one_at_rest() -> None:
    moving = with_effects(speed=0.3)
    sharp = compose([flat(0), speckled()], moving, 1)
    smooth = compose([flat(0), speckled()], moving.model_copy(update={"motion_blur": 1.0}), 1)

    def roughness(clip: Clip) -> float:
        return sum(float(np.abs(np.diff(clip.frames.astype(float), axis=axis)).sum()) for axis in (1, 2))

    assert roughness(smooth) < 0.9 * roughness(sharp)
    still = compose([flat(0), speckled()], with_effects(motion_blur=1.0), 1)
    assert np.array_equal(still.frames, compose([flat(0), speckled()], CALM, 1).frames)


def test_noise_has_no_bias_and_at_most_the_deviation_asked_for() -> None:
    pictures = [flat(128), speckled()]
    noise = [
        compose(pictures, with_effects(noise=12.0, frames=4), seed).frames.astype(float)
        - compose(pictures, with_effects(frames=4), seed).frames
        for seed in range(12)
    ]
    deviations = [sample.std() for sample in noise]
    assert max(deviations) <= 12.2
    assert max(deviations) > 6
    assert max(abs(sample.mean()) for sample in noise) < 0.1


def test_what_passes_over_the_object_hides_it_later_but_never_in_the_first_frame() -> None:
    hidden = []
    for seed in range(12):
        pictures, moving = [flat(0), speckled()], with_effects(speed=0.05)
        free = compose(pictures, moving, seed)
        covered = compose(pictures, moving.model_copy(update={"occlusion": 1.0}), seed)
        assert np.array_equal(free.boxes, covered.boxes)
        object_pixels = (free.frames > 0).any(axis=3)
        changed = (free.frames != covered.frames).any(axis=3) & object_pixels
        share = changed.sum(axis=(1, 2)) / object_pixels.sum(axis=(1, 2))
        assert share[0] == 0
        hidden.append(share.max())
    assert np.median(hidden) > 0.5


@pytest.mark.parametrize("level", [20, 100, 235])
def test_the_object_can_be_seen_up_to_its_edges(photographs: list[np.ndarray], level: int) -> None:
    for seed in range(8):
        clip = compose([flat(level), *photographs], CALM, seed)
        if (clip.frames[0, :8, :8] != level).any():
            continue  # One of the photographs is the background.
        seen = bounds_above_half(np.abs(clip.frames[0].astype(int) - level).max(axis=2) > 20)
        assert seen[2] * seen[3] >= 0.85 * clip.boxes[0, 2] * clip.boxes[0, 3]


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_the_shortest_clips_can_be_composed(photographs: list[np.ndarray], frames: int) -> None:
    clip = compose(photographs, CompositionSpec(frames=frames, occlusion=1, distractors=4), 0)
    assert clip.frames.shape == (frames, 240, 320, 3)


def test_photographs_may_be_smaller_than_a_frame() -> None:
    clip = compose([speckled()[:30, :40], speckled()[40:90, 40:70]], with_effects(min_contrast=5), 0)
    assert clip.frames.shape == (24, 120, 160, 3)


def test_a_long_panorama_makes_a_background() -> None:
    panorama = np.random.default_rng(0).integers(60, 200, (3, 4000, 3)).astype(np.uint8)
    clip = compose([panorama, speckled()], with_effects(min_contrast=0, pan=3.0), 0)
    assert clip.frames.shape == (24, 120, 160, 3)


def test_pictures_without_any_contrast_are_refused_in_words() -> None:
    with pytest.raises(DataError, match=r"too uniform.*min_contrast"):
        compose([flat(10), flat(200)], CALM, 0)


@pytest.mark.parametrize(("pictures", "seed", "message"), [([], 0, "no pictures"), ([flat(0)], -1, "seed")])
def test_nothing_to_compose_from_is_refused(pictures: list[np.ndarray], seed: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        compose(pictures, CALM, seed)


@pytest.mark.parametrize(
    "values",
    [
        {"sped": 1},
        {"frames": 0},
        {"occlusion": 1.5},
        {"noise": -1},
        {"height": "tall"},
        {"object_size": (40, 30)},
        {"object_size": (2, 30)},
        {"object_size": (24, 200)},
        {"object_size": (24, float("nan"))},
        {"speed": float("nan")},
    ],
    ids=str,
)
def test_an_impossible_specification_is_refused(values: dict) -> None:
    with pytest.raises(pydantic.ValidationError, match=next(iter(values))):
        CompositionSpec.model_validate(values)
