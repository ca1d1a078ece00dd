"""From a network's answers to the objects in a picture: scores, and of boxes that overlap the best of each class."""

from __future__ import annotations

import torch
import torchvision

from pipeline.tasks.detection.decoding import Answers
from pipeline.tasks.detection.predictions import Detections


@torch.no_grad()
def detections(answers: Answers, score: float, overlap: float, most: int) -> list[Detections]:
    """Objects in each picture, in pixels of the network's picture, best first.

    A cell's class is the likeliest, and its score ``p_object * p_class``, as in Megvii-BaseDetection/YOLOX 6ddff48,
    yolox/utils/boxes.py, postprocess. score: the least. overlap: IoU from which on the worse of two boxes of one class
    is left out. most: objects in a picture.
    """
    best, classes = answers.classes.sigmoid().max(dim=-1)
    scores, corners, found = best * answers.objects.sigmoid(), answers.corners, []
    for index in range(len(scores)):
        chosen = scores[index] >= score
        boxes, values, labels = corners[index][chosen], scores[index][chosen], classes[index][chosen]
        kept = torchvision.ops.batched_nms(boxes, values, labels, overlap)[:most]
        parts = (boxes[kept].double().cpu().numpy(), values[kept].double().cpu().numpy(), labels[kept].cpu().numpy())
        found.append(Detections(*parts))
    return found
