"""The whole of training can learn: sixteen real photos by heart."""

import json

import numpy as np
import pytest
import torch

from maskzoo.data.coco import read_annotations
from maskzoo.data.writing import write_coco
from maskzoo.ops.boxes import pairwise_iou
from shared_data import ROOT, need_shared
from small_runs import train

# Masks of 28 x 28 cells hold objects from here on at an AP beyond 0.9, and of two boxes of one class that overlap by more than
# suppression allows only one can be found.
LEAST_SIDE = 128  # pixels, the root of an object's area
MOST_OVERLAP = 0.3  # IoU of two boxes of one class


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_sixteen_real_photos_are_learnt_by_heart(tmp_path):
    """Those with the lowest ids that have one to six large objects, apart from others of their class; no flip, one scale."""
    annotations = read_annotations(need_shared("data", "coco", "annotations", "instances_train2017.json"))
    images = need_shared("data", "coco", "train2017")
    sides = np.sqrt(annotations.area)
    sound = [
        0 < len(rows) <= 6
        and sides[rows].min() >= LEAST_SIDE
        and not annotations.crowd[rows].any()
        and find_overlap(annotations, rows) <= MOST_OVERLAP
        for rows in (np.arange(*annotations.first[place : place + 2]) for place in range(len(annotations)))
    ]
    chosen = np.zeros(len(annotations), np.bool_)
    chosen[np.flatnonzero(sound)[:16]] = True
    write_coco(tmp_path / "train.json", annotations.select(chosen))
    train(
        ROOT / "examples" / "scratch.yml", tmp_path / "train.json", "--val", tmp_path / "train.json", "--images", images,
        "--from", "none", "--batch", 4, "--epochs", 450, "--out", tmp_path / "run", "--set", "run.workers=0",
        "--set", "training.milestones=[375, 425]", "--set", "training.flip=0", "--set", "training.short_sides=[256]",
        "--set", "run.evaluate_every=50", limit=7200,
    )  # fmt: skip
    metrics = json.loads((tmp_path / "run" / "best-metrics.json").read_text())
    assert metrics["mask"]["AP"] > 0.9


def find_overlap(annotations, rows):
    """The largest IoU of two boxes of one class among the objects `rows` of an image."""
    boxes = torch.from_numpy(annotations.boxes[rows])
    same = torch.from_numpy(annotations.labels[rows][:, None] == annotations.labels[rows])
    return float((pairwise_iou(boxes, boxes) * same).fill_diagonal_(0).max())
