"""Variations of a training clip: the same turn, scale, shear, cut, mirror and colours for every frame and its mask.

Pixels that no frame reaches are grey, and background in the mask.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.datasets.images import RGB
from pipeline.datasets.label_masks import VOID, LabelMask
from pipeline.datasets.synthetic.cutouts import recoloured
from pipeline.tasks.segmentation.data_config import AugmentationConfig

GREY = 114
"""Of what lies outside the frames."""

Random = np.random.Generator
Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MaskedClip:
    """frames: RGB, uint8 (frame, height, width, 3). masks: labels, uint8 (frame, height, width)."""

    frames: RGB
    masks: LabelMask


def varied(clip: MaskedClip, height: int, width: int, config: AugmentationConfig, random: Random) -> MaskedClip:
    """The clip varied, of frames of this size."""
    clip = transformed(clip, affine_matrix(clip, height, width, config, random), height, width)
    frames, masks = _recoloured(clip.frames, config, random), clip.masks
    if random.random() < config.flip:
        frames, masks = frames[:, :, ::-1], masks[:, :, ::-1]
    return MaskedClip(np.ascontiguousarray(frames), np.ascontiguousarray(masks))


def affine_matrix(
    clip: MaskedClip, height: int, width: int, config: AugmentationConfig, random: Random
) -> npt.NDArray[np.float64]:
    """Shape (2, 3): what brings x, y, 1 of edges of the clip's pixels to those of height x width.

    The frame is scaled to cover that, and by ``config.scale`` more, turned and sheared. The middle of what is seen is
    drawn from where a window fits into the frame, or is the one of these that is nearest to an object's pixel of the
    first frame.
    """
    rows, columns = clip.masks.shape[1:]
    scale = max(height / rows, width / columns) * random.uniform(*config.scale)
    angle = np.radians(random.uniform(-config.degrees, config.degrees))
    shear = np.tan(np.radians(random.uniform(-config.shear, config.shear)))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = scale * turn @ np.array([[1, shear], [0, 1]])
    middle = _middle(clip, np.array([width, height]) / scale, random.random() < config.focus, random)
    return np.column_stack([linear, np.array([width, height]) / 2 - linear @ middle])


def transformed(clip: MaskedClip, matrix: Matrix, height: int, width: int) -> MaskedClip:
    """What the matrix brings into height x width: frames linearly interpolated, masks from the nearest pixel."""
    of_centres = matrix.copy()  # OpenCV counts from the centre of the first pixel
    of_centres[:, 2] += matrix[:, :2].sum(axis=1) / 2 - 0.5
    frames = [
        cv2.warpAffine(frame, of_centres, (width, height), flags=cv2.INTER_LINEAR, borderValue=(GREY, GREY, GREY))
        for frame in clip.frames
    ]
    masks = [cv2.warpAffine(mask, of_centres, (width, height), flags=cv2.INTER_NEAREST) for mask in clip.masks]
    return MaskedClip(np.asarray(np.stack(frames), np.uint8), np.asarray(np.stack(masks), np.uint8))


def _recoloured(frames: RGB, config: AugmentationConfig, random: Random) -> RGB:
    """Colours changed as of one tall picture: alike in every frame."""
    if not config.colour:
        return frames
    return recoloured(random, frames.reshape(-1, *frames.shape[2:]), config.colour).reshape(frames.shape)


def _middle(clip: MaskedClip, window: npt.NDArray[np.float64], focus: bool, random: Random) -> npt.NDArray[np.float64]:
    """x, y of what is to be the middle, in edges of pixels. window: width and height, before they are turned."""
    first = clip.masks[0]
    size = np.array(first.shape[::-1])
    room = np.maximum(size - window, 0) / 2
    pixels = np.flatnonzero((first > 0) & (first < VOID)) if focus else np.empty(0)
    if len(pixels):
        y, x = divmod(int(pixels[random.integers(len(pixels))]), first.shape[1])
        return np.clip([x + 0.5, y + 0.5], size / 2 - room, size / 2 + room)
    return np.asarray(size / 2 + random.uniform(-1, 1, 2) * room)
