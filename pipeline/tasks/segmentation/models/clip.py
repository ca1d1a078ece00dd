"""A memory network on training clips: the first frame's mask is given, and each further frame remembers what was found
in those before it.

Every model of a segmenter answers, of all frames but the first:

    logits        of background and objects, (clip * frame, 1 + object, height, width), an object that the clip does not
                  have being as good as impossible
    class         of a position's being an object's, (object * frame, 1, row, column) at stride 4, before objects are
                  weighed against each other; frames one after the other, and in each all objects of all clips
    features_S    what the encoder of frames says at strides S, 4, 8 and 16, (clip * frame, channel, row, column); of a
                  student spikes
    read          what was read from memory, (object * frame, channel, row, column) at stride 16
    decoder_S     maps of the decoder at strides 16, 8 and 4, (object * frame, channel, row, column); of a student
                  spikes
"""

from __future__ import annotations

from collections import defaultdict
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.datasets.label_masks import VOID
from pipeline.tasks.segmentation.models.memory import Decoded, Encoded, Memory, MemoryNetwork, aggregated

Tensors: TypeAlias = dict[str, Tensor]


class Objects:
    """Which clip has which objects: one entry for each object of each clip.

    masks: of the clips' first frames, labels as of ``pipeline.tasks.segmentation.sampling``, (clip, row, column).
    """

    def __init__(self, masks: Tensor) -> None:
        labels = torch.where(masks == VOID, 0, masks)
        self.most = max(int(labels.max()), 1)
        self._clips = len(masks)
        wanted = torch.arange(1, self.most + 1, device=masks.device)
        true = labels[:, None] == wanted[:, None, None]
        self.clip, self._label = true.flatten(2).any(dim=2).nonzero(as_tuple=True)
        self.first = true[self.clip, self._label][:, None].float()

    def together(self, values: Tensor) -> Tensor:
        """Probabilities (entry, 1, row, column) as (clip, object, row, column), 0 where a clip has no such object."""
        table = values.new_zeros((self._clips, self.most, *values.shape[2:]))
        return table.index_put((self.clip, self._label), values[:, 0])

    def apart(self, table: Tensor) -> Tensor:
        """The reverse."""
        return table[self.clip, self._label][:, None]

    def others(self, values: Tensor) -> Tensor:
        """Of each object where the clip's other objects are, (entry, 1, row, column), 0..1."""
        table = self.together(values)
        return (self.apart(table.sum(dim=1, keepdim=True).expand_as(table)) - values).clamp(0, 1)


def probability(decoded: Decoded, size: tuple[int, ...]) -> Tensor:
    """Of each pixel's being the object's, (object, 1, height, width)."""
    return F.interpolate(decoded.logits, size, mode="bilinear", align_corners=False).sigmoid()


def through_clip(network: MemoryNetwork, frames: Tensor, masks: Tensor) -> Tensors:
    """frames: RGB, 0..255, (clip, frame, 3, height, width). masks: labels, (clip, frame, height, width), of which the
    first frame's is looked at."""
    clips, count = frames.shape[:2]
    objects = Objects(masks[:, 0])
    encoded = network.encode(frames.flatten(0, 1))
    memories: list[Memory] = []
    found, logits, by_name = objects.first, [], defaultdict[str, list[Tensor]](list)
    for number in range(1, count):
        before, now = (_frame(encoded, clips, count, one).at(objects.clip) for one in (number - 1, number))
        shown = frames[:, number - 1][objects.clip]
        memories.append(network.memorise(shown, before, found, objects.others(found)))
        read = network.read(Memory.joined(memories), now)
        decoded = network.decode(now, read)
        weighed = aggregated(objects.together(probability(decoded, frames.shape[-2:])))
        found = objects.apart(weighed.softmax(dim=1)[:, 1:])
        logits.append(weighed)
        for name, values in {"class": decoded.logits, "read": read, **decoded.maps}.items():
            by_name[name].append(values)
    later = [index for index in range(clips * count) if index % count]
    features = {name: values[later] for name, values in encoded.maps.items() if name.startswith("features_")}
    stacked = {name: torch.cat(values) for name, values in by_name.items()}
    return {"logits": torch.stack(logits, dim=1).flatten(0, 1), **features, **stacked}


def _frame(encoded: Encoded, clips: int, count: int, number: int) -> Encoded:
    """One frame of every clip."""
    return encoded.at(slice(number, clips * count, count))
