"""The whole of training can learn: sixteen real photos by heart."""

import json

import numpy as np
import pytest

from maskzoo.data.coco import read_annotations
from maskzoo.data.writing import write_coco
from shared_data import ROOT, need_shared
from small_runs import train

LEAST_SIDE = 64  # pixels, the root of an object's area: masks of 28 x 28 hold such objects at an AP of 0.92 at the most
TRUE_OVERLAP = 0.7  # two pairs of one class overlap by 0.63 and 0.64: suppressed at 0.5, they could never be found


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_sixteen_real_photos_are_learnt_by_heart(tmp_path):
    """Those with the lowest ids that have one to six objects, none of them small; no flip, one scale."""
    annotations = read_annotations(need_shared("data", "coco", "annotations", "instances_train2017.json"))
    images = need_shared("data", "coco", "train2017")
    sides = np.sqrt(annotations.area)
    sound = [
        0 < len(rows) <= 6 and sides[rows].min() >= LEAST_SIDE and not annotations.crowd[rows].any()
        for rows in (np.arange(*annotations.first[place : place + 2]) for place in range(len(annotations)))
    ]
    chosen = np.zeros(len(annotations), np.bool_)
    chosen[np.flatnonzero(sound)[:16]] = True
    write_coco(tmp_path / "train.json", annotations.select(chosen))
    train(
        ROOT / "examples" / "scratch.yml", tmp_path / "train.json", "--val", tmp_path / "train.json", "--images", images,
        "--from", "none", "--batch", 4, "--epochs", 450, "--out", tmp_path / "run", "--set", "run.workers=0",
        "--set", "training.milestones=[375, 425]", "--set", "training.flip=0", "--set", "training.short_sides=[256]",
        "--set", f"limits.detections.iou={TRUE_OVERLAP}", "--set", "run.evaluate_every=50", limit=7200,
    )  # fmt: skip
    metrics = json.loads((tmp_path / "run" / "best-metrics.json").read_text())
    assert metrics["mask"]["AP"] > 0.9
