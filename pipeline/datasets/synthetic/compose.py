"""Tracking clips composed from photographs: a cut-out moves over another photograph, and its box is exact."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence as ManyOf
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from pipeline.datasets.clip import Clip
from pipeline.datasets.errors import DataError
from pipeline.datasets.images import RGB
from pipeline.datasets.label_masks import LabelMask
from pipeline.datasets.synthetic import cutouts, motion
from pipeline.datasets.synthetic.backdrop import Backdrop, backdrop
from pipeline.datasets.synthetic.composition import CompositionSpec
from pipeline.datasets.synthetic.light import SensorNoise, light_tables
from pipeline.datasets.synthetic.motion import Course
from pipeline.datasets.synthetic.sprites import OPAQUE, Mask, Pose, Sprite, bounds, draw, half_extents

ATTEMPTS = 60
"""Cut-outs tried for one clip before the pictures are called too uniform."""

LOOK_ALIKE_DIFFERENCE = (0.1, 0.35)
"""Change of colour that leaves a copy similar to the object, yet not the same."""

VISIBLE = 0.85
"""Least share of its box in which the object can be told from the background: else its box could not be seen."""

CHECKED_FRAMES = 5
"""Frames spread over the clip at which the object is compared with the background."""

SMEAR = 0.5
"""Most motion blur over the object's shorter side, so that its core stays opaque."""

OCCLUDER_SIZE = (0.7, 1.5)
"""Longer side of what passes over the object, in object sizes: from most of it to all of it is hidden."""

OCCLUDER_SPEED = (0.12, 0.4)
"""Displacement of it a frame, in object sizes: the object is touched for some 5 to 20 frames."""


@dataclass(frozen=True)
class _Actor:
    """Something that is drawn in every frame."""

    sprite: Sprite
    pose: Pose


@dataclass(frozen=True)
class _Stage:
    """The background and the object on it: what must be told apart."""

    backdrop: Backdrop
    target: _Actor
    size: float


def compose(pictures: ManyOf[RGB], spec: CompositionSpec, seed: int) -> Clip:
    """A clip of ``spec.frames`` frames of (spec.height, spec.width), all of it drawn from ``seed``.

    The boxes are the tight bounds of the object's alpha above one half, motion blur included, as it would be seen
    without the occluder, within the frame; they are whole pixels. At least 70 % of the object is inside the frame, and
    nothing passes over it in the first frame. Light, distractors, occluder and noise have random streams of their own:
    with them or without, object and background move alike.

    pictures: at least one, uint8 RGB of shape (height, width, 3). The object is cut from any of them.
    seed: 0 or more; the same seed gives the same bytes.

    Raises DataError when no picture offers an object that stands out, or for a negative seed.
    """
    frames = np.empty((spec.frames, spec.height, spec.width, 3), np.uint8)
    boxes = np.empty((spec.frames, 4))
    for t, (frame, alphas) in enumerate(_drawn(pictures, spec, seed)):
        frames[t], boxes[t] = frame, _box(alphas.target, spec)
    return Clip(f"composed-{seed}", frames, boxes)


def compose_masked(pictures: ManyOf[RGB], spec: CompositionSpec, seed: int) -> tuple[RGB, LabelMask]:
    """The frames of ``compose``, and which object each pixel of them is of: uint8 (frame, height, width, 3) and (frame,
    height, width).

    The object is 1, the others that move below it are 2 and on, in the order in which they lie over each other; what
    passes over it all is background. A pixel is of the topmost thing whose alpha is above one half there, so what is
    hidden is not in the mask, and an object may be hidden or outside from the first frame on.

    Raises DataError as ``compose`` does.
    """
    frames = np.empty((spec.frames, spec.height, spec.width, 3), np.uint8)
    masks = np.zeros((spec.frames, spec.height, spec.width), np.uint8)
    for t, (frame, alphas) in enumerate(_drawn(pictures, spec, seed)):
        frames[t] = frame
        labels = [*range(2, len(alphas.below) + 2), 1, *[0] * len(alphas.above)]
        for alpha, label in zip([*alphas.below, alphas.target, *alphas.above], labels, strict=True):
            masks[t][alpha > OPAQUE] = label
    return frames, masks


class _Alphas(NamedTuple):
    """What was drawn of each thing in a frame, whatever lies over it, in order from below."""

    below: list[Mask]
    target: Mask
    above: list[Mask]


def _drawn(pictures: ManyOf[RGB], spec: CompositionSpec, seed: int) -> Iterator[tuple[RGB, _Alphas]]:
    """The frames of a clip."""
    if not len(pictures):
        raise DataError("compose: there are no pictures to compose from")
    if seed < 0:
        raise DataError(f"compose: the seed must be 0 or more, got {seed}")
    cv2.setNumThreads(1)  # Small images lose more by the hand-over between threads than they win.
    streams = [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(5)]
    for_stage, for_light, for_distractors, for_occluder, for_noise = streams
    stage = _set_stage(for_stage, pictures, spec)
    below = _distractors(for_distractors, pictures, stage, spec)
    above = _occluder(for_occluder, pictures, stage, spec)
    tables = light_tables(for_light, spec.frames, spec.light)
    noise = SensorNoise(for_noise, spec.height, spec.width, for_noise.uniform(0, spec.noise))
    for t in range(spec.frames):
        frame = stage.backdrop.frame(t)
        under = [draw(frame, actor.sprite, actor.pose, t) for actor in below]
        target = draw(frame, stage.target.sprite, stage.target.pose, t)
        over = [draw(frame, actor.sprite, actor.pose, t) for actor in above]
        yield noise.added(np.asarray(cv2.LUT(frame, tables[t][None]), np.uint8)), _Alphas(under, target, over)


def _box(mask: Mask, spec: CompositionSpec) -> tuple[float, float, float, float]:
    box = bounds(mask)
    if box is None:
        raise DataError(f"compose: blur left nothing of an object of {spec.object_size} pixels; make it larger")
    return box


def _set_stage(rng: np.random.Generator, pictures: ManyOf[RGB], spec: CompositionSpec) -> _Stage:
    """A background and an object that stands out from it all the way."""
    for _ in range(ATTEMPTS):
        source = int(rng.integers(len(pictures)))
        other = int(rng.integers(len(pictures) - 1)) if len(pictures) > 1 else 0
        behind = source if rng.random() < spec.same_picture else other + (other >= source and len(pictures) > 1)
        size = float(np.exp(rng.uniform(*np.log(spec.object_size))))
        exposure = rng.uniform(0, spec.motion_blur)
        sprite = cutouts.cut_object(rng, pictures[source], size, spec.recolour)
        pose = _journey(rng, sprite, size, exposure, spec)
        stage = _Stage(backdrop(rng, pictures[behind], exposure, spec), _Actor(sprite, pose), size)
        if cutouts.texture_contrast(sprite) >= spec.min_texture and _stands_out(stage, spec):
            return stage
    raise DataError(
        f"compose: none of {ATTEMPTS} cut-outs stood out from its background; the pictures are too uniform: "
        "use other pictures, or lower min_contrast and min_texture"
    )


def _stands_out(stage: _Stage, spec: CompositionSpec) -> bool:
    """Whether the object differs from what is behind it, up to its edges, from the start to the end."""
    for t in np.linspace(0, spec.frames - 1, CHECKED_FRAMES).astype(int):
        before = stage.backdrop.frame(t)
        after = before.copy()
        mask = draw(after, stage.target.sprite, stage.target.pose, t)
        if cutouts.contrast(before, after, mask) < spec.min_contrast:
            return False
        if spec.min_contrast and cutouts.visible_share(before, after, mask) < VISIBLE:
            return False
    return True


def _distractors(rng: np.random.Generator, pictures: ManyOf[RGB], stage: _Stage, spec: CompositionSpec) -> list[_Actor]:
    """Other objects that move below the object; some of them look like it."""
    actors = []
    for _ in range(int(rng.integers(spec.distractors + 1))):
        if rng.random() < spec.look_alikes:
            sprite = cutouts.look_alike(rng, stage.target.sprite, rng.uniform(*LOOK_ALIKE_DIFFERENCE))
        else:
            size = stage.size * rng.uniform(0.7, 1.4)
            sprite = cutouts.cut_object(rng, _any(rng, pictures), size, spec.recolour)
        actors.append(_Actor(sprite, _journey(rng, sprite, stage.size, rng.uniform(0, spec.motion_blur), spec)))
    return actors


def _occluder(rng: np.random.Generator, pictures: ManyOf[RGB], stage: _Stage, spec: CompositionSpec) -> list[_Actor]:
    """One thing or none that passes straight over the object, never in the first frame."""
    if rng.random() >= spec.occlusion or spec.frames < 2:
        return []
    size = stage.size * rng.uniform(*OCCLUDER_SIZE)
    sprite = cutouts.cut_object(rng, _any(rng, pictures), size, spec.recolour)
    course = stage.target.pose.centre
    meet = int(rng.integers(max(spec.frames // 3, 1), spec.frames))
    direction = rng.uniform(0, 2 * np.pi)
    heading = np.array([np.cos(direction), np.sin(direction)])
    velocity = heading * stage.size * rng.uniform(*OCCLUDER_SPEED)
    # The first frame shows what is to be followed: where the occluder would reach it there, it comes from farther off.
    clearance = 1.5 * (size + stage.size)
    if np.hypot(*(course[meet] - meet * velocity - course[0])) < clearance:
        velocity = heading * (clearance + np.hypot(*(course[meet] - course[0]))) / meet
    centre = motion.pass_by(course[meet], meet, velocity, spec.frames)
    exposure = rng.uniform(0, spec.motion_blur)
    return [_Actor(sprite, _still_pose(centre, exposure))]


def _journey(rng: np.random.Generator, sprite: Sprite, size: float, exposure: float, spec: CompositionSpec) -> Pose:
    """How an object moves, grows, stretches, turns and brightens over the clip."""
    n = spec.frames
    grow = np.exp(np.log1p(spec.scale_change) * motion.wander(rng, n) * rng.random())
    stretch = np.exp(np.log1p(spec.stretch) * motion.wander(rng, n) * rng.random())
    angle = np.radians(spec.rotation) * motion.wander(rng, n) * rng.random()
    scale = np.stack([grow * stretch, grow / stretch], axis=1)
    half = half_extents(sprite.outline, angle, scale)
    inset = half * (1 - 2 * spec.outside)
    centre = motion.travel(
        rng,
        low=inset,
        high=np.array([spec.width, spec.height]) - inset,
        speed=size * spec.speed * np.exp(rng.normal(0, 0.5)),
        agility=spec.agility,
    )
    return Pose(
        centre=centre,
        scale=scale,
        angle=angle,
        smear=_blur(centre, exposure, np.ptp(sprite.outline, axis=0) * scale),
        gain=np.exp(np.log(1.6) * spec.object_light * motion.wander(rng, n)),
        offset=30 * spec.object_light * motion.wander(rng, n),
    )


def _still_pose(centre: Course, exposure: float) -> Pose:
    """A pose that only moves."""
    n = len(centre)
    smear = motion.velocity_of(centre) * exposure
    return Pose(centre, np.ones((n, 2)), np.zeros(n), smear, np.ones(n), np.zeros(n))


def _blur(centre: Course, exposure: float, sides: Course) -> Course:
    """The displacement while the shutter is open, shortened where it would be long beside the object's ``sides``."""
    smear = motion.velocity_of(centre) * exposure
    length = np.hypot(smear[:, 0], smear[:, 1])
    return smear * np.minimum(1, SMEAR * sides.min(axis=1) / np.maximum(length, 1e-9))[:, None]


def _any(rng: np.random.Generator, pictures: ManyOf[RGB]) -> RGB:
    return pictures[int(rng.integers(len(pictures)))]
