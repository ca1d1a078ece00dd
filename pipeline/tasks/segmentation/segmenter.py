"""A memory network at work on a sequence: which frames it remembers, and from its answers to masks of the frame's size.

Frames are scaled to the size that the network sees, whatever the ratio of their sides; objects are weighed against each
other at that size, and what comes of it is interpolated to the frame's.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.datasets.images import RGB
from pipeline.datasets.label_masks import LabelMask, objects_in
from pipeline.tasks.segmentation.config import SegmenterProcessing
from pipeline.tasks.segmentation.models.clip import probability
from pipeline.tasks.segmentation.models.config import SegmenterConfig
from pipeline.tasks.segmentation.models.memory import Encoded, Memory, MemoryNetwork, aggregated


class MemorySegmenter:
    """See ``pipeline.core.task.Predictor`` and ``pipeline.tasks.segmentation.predictions.OpenSegmenter``."""

    most_objects: int | None = None

    def __init__(
        self,
        network: MemoryNetwork,
        config: SegmenterConfig,
        processing: SegmenterProcessing,
        device: torch.device | None = None,
    ) -> None:
        """config: of the network, for the size of its frames."""
        self._network, self._processing = network, processing
        self._size, self._device = (config.height, config.width), device or torch.device("cpu")
        self._labels = np.zeros(1, np.uint8)
        self._kept: list[Memory] = []
        self._number = 0

    @torch.inference_mode()
    def start(self, frame: RGB, mask: LabelMask) -> None:
        """Forget everything, and remember this frame with its mask."""
        self._labels = np.array([0, *objects_in(mask)], np.uint8)
        self._kept, self._number = [], 0
        rows, columns = self._size
        masks = [
            cv2.resize((mask == label).astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA)
            for label in self._labels[1:]
        ]
        shown = self._seen(frame)
        found = torch.from_numpy(np.stack(masks)).to(self._device)[:, None]
        self._remember(shown, self._network.encode(shown), found)

    @torch.inference_mode()
    def step(self, frame: RGB) -> LabelMask:
        """The mask of the next frame, which is then remembered."""
        self._number += 1
        shown = self._seen(frame)
        encoded = self._network.encode(shown)
        each = encoded.at(torch.zeros(len(self._labels) - 1, dtype=torch.int64, device=self._device))
        decoded = self._network.decode(each, self._network.read(Memory.joined(self._kept), each))
        weighed = aggregated(probability(decoded, self._size).movedim(0, 1))
        self._remember(shown, encoded, weighed.softmax(dim=1)[0, 1:, None])
        whole = F.interpolate(weighed, frame.shape[:2], mode="bilinear", align_corners=False)
        return self._labels[whole[0].argmax(dim=0).cpu().numpy()]

    def _remember(self, shown: Tensor, encoded: Encoded, found: Tensor) -> None:
        """Add a frame; of those before it the one before the last goes where it was there for no other reason.

        found: probabilities of the objects, (object, 1, row, column).
        """
        if self._number > 1 and (self._number - 1) % self._processing.every:
            del self._kept[-1]
        most = self._processing.most
        while most is not None and len(self._kept) > most + 1:
            del self._kept[1]
        objects = torch.zeros(len(found), dtype=torch.int64, device=self._device)
        others = (found.sum(dim=0, keepdim=True) - found).clamp(0, 1)
        self._kept.append(self._network.memorise(shown[objects], encoded.at(objects), found, others))

    def _seen(self, frame: RGB) -> Tensor:
        """The frame as the network sees it, (1, 3, row, column)."""
        rows, columns = self._size
        smaller = rows * columns < frame.shape[0] * frame.shape[1]
        how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
        small = frame if frame.shape[:2] == self._size else cv2.resize(frame, (columns, rows), interpolation=how)
        return torch.from_numpy(np.ascontiguousarray(small)).to(self._device).movedim(-1, 0)[None].float()
