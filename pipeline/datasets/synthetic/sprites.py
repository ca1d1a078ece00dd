"""Cut-outs of photographs under smooth closed outlines, and how they are drawn into a frame."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.datasets.images import RGB
from pipeline.datasets.synthetic.motion import Course

Points = npt.NDArray[np.float64]
Mask = npt.NDArray[np.uint8]

OPAQUE = 127
"""A pixel belongs to the object where its alpha of 0..255 is above this, that is above one half."""

MARGIN = 4
"""Transparent pixels around a sprite, room for its soft edge."""

_SHORTEST_SMEAR = 1.0
"""Pixels. A shorter motion blur cannot be seen."""


@dataclass(frozen=True)
class Sprite:
    """A cut-out, ready to be drawn.

    texture: the rectangle it was cut from, RGB, shape (height, width, 3), in pixels of the frame at scale 1.
    image: texture under the mask, premultiplied, with the mask (0..255) as fourth channel, uint8, shape
        (height, width, 4).
    outline: points of the closed outline, x, y in pixels from the centre of the image, shape (point, 2).
    """

    texture: RGB
    image: npt.NDArray[np.uint8]
    outline: Points

    @property
    def mask(self) -> Mask:
        """Alpha, 0..255, shape (height, width)."""
        return self.image[..., 3]


def cut_sprite(texture: RGB, outline: Points, softness: float) -> Sprite:
    """The part of ``texture`` within ``outline``, whose bounds are scaled to fit, with an edge blurred by ``softness``
    pixels (standard deviation)."""
    height, width = texture.shape[:2]
    low, high = outline.min(axis=0), outline.max(axis=0)
    room = np.array([width, height]) - 2 * MARGIN
    points = (outline - (low + high) / 2) / (high - low) * room
    mask = np.zeros((height, width), np.uint8)
    shift = 4
    corners = np.round((points + (np.array([width, height]) - 1) / 2) * 2**shift).astype(np.int32)
    cv2.fillPoly(mask, [corners], (255,), lineType=cv2.LINE_AA, shift=shift)
    mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), softness), np.uint8)
    colour = cv2.multiply(texture, cv2.merge([mask] * 3), scale=1 / 255)
    return Sprite(texture, np.dstack([colour, mask]), points)


def blob(rng: np.random.Generator, corners: int = 72) -> Points:
    """A random smooth closed outline around the origin, shape (corners, 2): a superellipse, from oval to nearly
    rectangular, whose radius swings with the angle."""
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    exponent = rng.uniform(1.8, 5.0)
    radius = (np.abs(np.cos(angle)) ** exponent + np.abs(np.sin(angle)) ** exponent) ** (-1 / exponent)
    for harmonic in range(2, 7):
        swing = rng.uniform(0, 0.45) / harmonic
        radius *= 1 + swing * np.cos(harmonic * angle + rng.uniform(0, 2 * np.pi))
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


@dataclass(frozen=True)
class Pose:
    """Where a sprite is drawn, frame by frame.

    centre: of its image, x, y in pixels with continuous edges, shape (frame, 2).
    scale: along its own x and y, shape (frame, 2).
    angle: radians, clockwise on the screen, shape (frame,).
    smear: displacement while the shutter is open, x, y in pixels, shape (frame, 2).
    gain, offset: of its colours, 1 and 0 (in 0..255) for none, shape (frame,).
    """

    centre: Course
    scale: Course
    angle: Course
    smear: Course
    gain: Course
    offset: Course

    def matrix(self, frame: int) -> Points:
        """What turns and scales the sprite around its centre, shape (2, 2)."""
        return turn_and_scale(self.angle[frame], self.scale[frame])


def turn_and_scale(angle: float, scale: Points) -> Points:
    """The matrix that scales x and y and then turns, shape (2, 2)."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s], [s, c]]) * scale


def half_extents(outline: Points, angle: Course, scale: Course) -> Points:
    """Half the width and height of the outline's bounds at each frame, seen from its centre, shape (frame, 2)."""
    matrices = np.stack([turn_and_scale(a, s) for a, s in zip(angle, scale, strict=True)])
    return np.abs(np.einsum("fij,pj->fpi", matrices, outline)).max(axis=1)


def draw(frame: RGB, sprite: Sprite, pose: Pose, index: int) -> Mask:
    """Draw a sprite into ``frame``, in place, in its pose at frame ``index``; the alpha drawn, (height, width)."""
    alpha = np.zeros(frame.shape[:2], np.uint8)
    patch, (left, top) = _render(sprite, pose, index)
    height, width = alpha.shape
    rows = slice(max(top, 0), max(min(top + patch.shape[0], height), 0))
    columns = slice(max(left, 0), max(min(left + patch.shape[1], width), 0))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return alpha
    patch = patch[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    alpha[rows, columns] = patch[..., 3]
    opacity = alpha[rows, columns, None].astype(np.float32) / 255
    colour = patch[..., :3] * np.float32(pose.gain[index]) + opacity * np.float32(pose.offset[index])
    blend = frame[rows, columns] * (1 - opacity) + colour
    frame[rows, columns] = np.clip(np.rint(blend), 0, 255).astype(np.uint8)
    return alpha


def _render(sprite: Sprite, pose: Pose, index: int) -> tuple[npt.NDArray[np.uint8], tuple[int, int]]:
    """The sprite turned, scaled and smeared, premultiplied RGBA, and the pixel (x, y) of its top left corner."""
    matrix, smear = pose.matrix(index), pose.smear[index]
    height, width = sprite.image.shape[:2]
    reach = np.abs(matrix) @ np.array([width, height]) / 2 + np.abs(smear) / 2 + 1
    centre = pose.centre[index]
    low = np.floor(centre - reach).astype(int)
    size = np.ceil(centre + reach).astype(int) - low
    # Pixel i has its centre at i + 1/2 in continuous coordinates, but at i for warpAffine.
    shift = (centre - 0.5 - low) - matrix @ (np.array([width, height]) / 2 - 0.5)
    affine = np.column_stack([matrix, shift])
    patch = cv2.warpAffine(sprite.image, affine, (int(size[0]), int(size[1])), flags=cv2.INTER_LINEAR)
    return smeared(np.asarray(patch, np.uint8), smear, cv2.BORDER_CONSTANT), (int(low[0]), int(low[1]))


def smeared(image: npt.NDArray[np.uint8], displacement: Points, border: int) -> npt.NDArray[np.uint8]:
    """``image`` averaged along a straight displacement, x, y in pixels, centred on it."""
    if np.hypot(*displacement) < _SHORTEST_SMEAR:
        return image
    return np.asarray(cv2.filter2D(image, -1, _line_kernel(displacement), borderType=border), np.uint8)


def _line_kernel(displacement: Points) -> npt.NDArray[np.float32]:
    """Bilinear weights of points spread evenly along a line through the centre; they sum to 1."""
    radius = int(np.ceil(np.abs(displacement).max() / 2))
    size = 2 * radius + 1
    steps = 4 * size
    points = radius + np.outer((np.arange(steps) + 0.5) / steps - 0.5, displacement)
    corner = np.floor(points).astype(int)
    part = points - corner
    kernel = np.zeros((size + 1, size + 1), np.float32)
    for dx, dy in ((0, 0), (0, 1), (1, 0), (1, 1)):
        weight = np.abs(1 - dx - part[:, 0]) * np.abs(1 - dy - part[:, 1])
        np.add.at(kernel, (corner[:, 1] + dy, corner[:, 0] + dx), weight)
    return kernel[:size, :size] / steps


def bounds(mask: Mask) -> tuple[float, float, float, float] | None:
    """The tight box x, y, width, height around the opaque pixels of a mask, or None where there are none."""
    columns = np.flatnonzero(mask.max(axis=0) > OPAQUE)
    rows = np.flatnonzero(mask.max(axis=1) > OPAQUE)
    if not columns.size:
        return None
    x, y = columns[0], rows[0]
    return float(x), float(y), float(columns[-1] + 1 - x), float(rows[-1] + 1 - y)
