"""The metric of COCO for the detector, as `transpike.evaluate` takes one: update with blocks of samples, then compute."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from anchors import Anchors
from detection import detect, levels

MISSING = "The COCO metric needs the package pycocotools: pip install 'transpike[detection]'."


class CocoScore:
    """Mean average precision over overlaps 0.50, 0.55 ... 0.95 (mAP) and at 0.50 (AP50), in percent, by pycocotools.

    Outputs are the maps of both heads by key; targets [batch, objects, 5] are left, top, right, bottom and class, -1 for none.
    """

    higher_is_better = True

    def __init__(self, anchors: Anchors, classes: int) -> None:
        self.anchors = anchors
        self.classes = classes
        self.objects: list[dict[str, Any]] = []
        self.found: list[list[float]] = []
        self.pictures = 0

    def update(self, outputs: Mapping[str, Tensor], targets: Tensor) -> None:
        """Take in the answers to some pictures."""
        results = detect(levels(outputs, "classes"), levels(outputs, "boxes"), self.anchors, self.classes)
        for one, target in zip(results, targets, strict=True):
            for box, score, kind in zip(one.boxes.tolist(), one.scores.tolist(), one.classes.tolist(), strict=True):
                self.found.append([self.pictures, *sized(box), score, kind])
            for row in target[target[:, 4] >= 0].tolist():
                self.objects.append(self.annotation(row))
            self.pictures += 1

    def annotation(self, row: list[float]) -> dict[str, Any]:
        """Return an object of the current picture in COCO's form."""
        box = sized(row[:4])
        key = len(self.objects) + 1
        place = {"id": key, "image_id": self.pictures, "category_id": int(row[4])}
        return {**place, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}

    def compute(self) -> dict[str, float]:
        """Return mAP and AP50 over all pictures so far."""
        try:
            from pycocotools.coco import COCO
            from pycocotools.cocoeval import COCOeval
        except ImportError as error:
            raise ImportError(MISSING) from error
        if not self.found:
            return {"mAP": 0.0, "AP50": 0.0}
        with contextlib.redirect_stdout(io.StringIO()):
            truth = COCO()
            truth.dataset = {
                "images": [{"id": picture} for picture in range(self.pictures)],
                "categories": [{"id": kind} for kind in range(self.classes)],
                "annotations": self.objects,
            }
            truth.createIndex()
            judge = COCOeval(truth, truth.loadRes(np.array(self.found)), "bbox")
            judge.evaluate()
            judge.accumulate()
            judge.summarize()
        return {"mAP": 100 * float(judge.stats[0]), "AP50": 100 * float(judge.stats[1])}


def sized(box: list[float]) -> list[float]:
    """Return a box as left, top, width, height."""
    return [box[0], box[1], box[2] - box[0], box[3] - box[1]]
