"""Which part of which photograph becomes an object, and how its colours are varied."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.datasets.images import RGB
from pipeline.datasets.synthetic.sprites import MARGIN, OPAQUE, Mask, Sprite, blob, bounds, cut_sprite

SOURCE_SCALE = (0.6, 3.0)
"""Pixels of the photograph per pixel of the object: from an enlarged detail to a whole region."""

STRETCH = 1.35
"""Bound of how much wider or narrower a patch becomes when it is cut out."""

THINNEST = 6
"""Pixels of the shorter side that every cut-out keeps."""

NOTICED = 20
"""Difference in any channel, of 255, at which a pixel is told from its background."""

TWO_PARTS = 0.5
"""Share of objects that are put together of two patches, as a person is of shirt and trousers."""

SOFTNESS = (0.5, 1.1)
"""Blur of an object's edge in pixels (standard deviation), as lenses and video coding leave it."""


def cut_object(rng: np.random.Generator, picture: RGB, size: float, recolour: float) -> Sprite:
    """A random object cut from a photograph: longer side ``size`` pixels, colours varied by ``recolour`` (0..1).

    The photograph, uint8 RGB, may be smaller than the object.
    """
    aspect = np.exp(rng.uniform(-0.75, 0.75))
    sides = size * np.array([aspect, 1.0]) / max(aspect, 1.0)
    width, height = (max(round(side), THINNEST) + 2 * MARGIN for side in sides)
    texture = random_patch(rng, picture, width, height)
    other = random_patch(rng, picture, width, height)
    if rng.random() < TWO_PARTS:
        texture = _joined(rng, texture, recoloured(rng, other, recolour))
    texture = recoloured(rng, texture, recolour)
    return cut_sprite(texture, blob(rng), rng.uniform(*SOFTNESS))


def look_alike(rng: np.random.Generator, sprite: Sprite, difference: float) -> Sprite:
    """The same texture under another outline, mirrored or not, its colours varied by ``difference`` (0..1)."""
    texture = sprite.texture[:, ::-1] if rng.random() < 0.5 else sprite.texture
    texture = recoloured(rng, np.ascontiguousarray(texture), difference)
    return cut_sprite(texture, blob(rng), rng.uniform(*SOFTNESS))


def random_patch(rng: np.random.Generator, picture: RGB, width: int, height: int) -> RGB:
    """A region of a photograph at random place, scale and stretch, perhaps mirrored, shape (height, width, 3)."""
    scale = np.exp(rng.uniform(*np.log(SOURCE_SCALE)))
    stretch = np.exp(rng.uniform(-1, 1) * np.log(STRETCH))
    sides = np.array([height / stretch, width * stretch]) * scale
    limits = np.array(picture.shape[:2])
    rows, columns = np.clip(np.round(sides).astype(int), 1, limits)
    top, left = (rng.random(2) * (limits - (rows, columns) + 1)).astype(int)
    patch = picture[top : top + rows, left : left + columns]
    shrinks = rows * columns > width * height
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    patch = np.asarray(cv2.resize(patch, (width, height), interpolation=method), np.uint8)
    return np.ascontiguousarray(patch[:, ::-1]) if rng.random() < 0.5 else patch


def recoloured(rng: np.random.Generator, image: RGB, strength: float) -> RGB:
    """``image`` with its hue turned and its saturation, brightness and contrast changed; as it was at strength 0.

    At strength 1 any hue can become any other, saturation is 0.4 to 1.8 times, contrast 0.6 to 1.5 times and
    brightness +-45 of 255.
    """
    hue, saturation, contrast, brightness = rng.uniform(-1, 1, size=4) * strength
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV).astype(np.float32)
    hsv[..., 0] = (hsv[..., 0] + 90 * hue) % 180
    hsv[..., 1] *= np.exp(0.75 * saturation - 0.16 * abs(saturation))
    turned = cv2.cvtColor(np.clip(np.rint(hsv), 0, 255).astype(np.uint8), cv2.COLOR_HSV2RGB).astype(np.float32)
    mean = turned.mean()
    changed = (turned - mean) * np.exp(0.45 * contrast) + mean + 45 * brightness
    return np.clip(np.rint(changed), 0, 255).astype(np.uint8)


def texture_contrast(sprite: Sprite) -> float:
    """Standard deviation of the object's brightness over its own pixels, in 0..255."""
    grey = cv2.cvtColor(sprite.texture, cv2.COLOR_RGB2GRAY)
    return float(grey[sprite.mask > OPAQUE].std())


def contrast(before: RGB, after: RGB, mask: Mask) -> float:
    """Mean absolute difference, 0..255, that drawing the object makes where it is opaque; 0 where it is nowhere."""
    inside = mask > OPAQUE
    return float(cv2.absdiff(before, after)[inside].mean()) if inside.any() else 0.0


def visible_share(before: RGB, after: RGB, mask: Mask) -> float:
    """Area of the box that an eye would draw, around what differs from the background, over that of the object's box,
    0..1."""
    change = cv2.absdiff(before, after).max(axis=2)
    seen, whole = bounds(np.where(change > NOTICED, mask, 0).astype(np.uint8)), bounds(mask)
    if seen is None or whole is None:
        return 0.0
    return seen[2] * seen[3] / (whole[2] * whole[3])


def _joined(rng: np.random.Generator, first: RGB, second: RGB) -> RGB:
    """Two patches of one size, divided by a soft straight line through a random point near the middle."""
    height, width = first.shape[:2]
    angle = rng.uniform(0, 2 * np.pi)
    place = (rng.uniform(0.35, 0.65, size=2) - 0.5) * (width, height)
    y, x = np.mgrid[:height, :width] + 0.5 - np.array([height, width]).reshape(2, 1, 1) / 2
    distance = (x - place[0]) * np.cos(angle) + (y - place[1]) * np.sin(angle)
    share = np.clip(0.5 + distance / 3, 0, 1)[..., None]
    return np.rint(first * (1 - share) + second * share).astype(np.uint8)
