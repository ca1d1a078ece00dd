"""Training batches of a detector: pictures with their boxes, put together and varied at random.

A batch (``pipeline.core.task.Batch``, inputs ("images",)) holds

- ``images``: float32 (picture, 3, height, width), 0..255, channels red, green, blue, neither mean nor deviation taken
  off. height and width are multiples of 32. YOLOX itself has blue first; no weights of its are read here, and all
  pictures of this project, and MobileNetV2's weights, are red first.
- ``boxes``: float32 (picture, most, 5): x1, y1, x2, y2 in pixels of ``images``, edges continuous, then the class's
  index. Rows of padding come last and are 0, 0, 0, 0, -1. most: of the objects in one picture of the batch, at least 1.
"""

from __future__ import annotations

INPUTS = ("images",)
"""What models take of a batch."""

PADDING = -1
"""The class of a row that is no box."""
