import numpy as np
import pytest
import torch

from maskzoo.models.anchors import make_anchors
from maskzoo.ops.boxes import pairwise_iou
from maskzoo.training.auto_recipe.anchor_fit import fit_anchors, measure_recall
from maskzoo.zoo.rows import read_row

ANCHORS = read_row("maskzoo_r18_fpn_tiny").network.anchors


def test_boxes_of_a_few_kinds_get_anchors_of_their_own():
    random = np.random.default_rng(0)
    sides = np.repeat([20.0, 40, 60, 90, 130], 60) * random.uniform(0.98, 1.02, 300)
    shape = np.sqrt(np.tile([0.1, 1.0, 8.0], 100))  # of height by width
    fitted = fit_anchors(ANCHORS, np.stack([sides / shape, sides * shape], 1))
    assert [level[0] for level in fitted.sizes] == pytest.approx([20, 40, 60, 90, 130], rel=0.05)
    assert fitted.ratios == pytest.approx((0.1, 1, 8), rel=0.05)


def test_thin_boxes_are_reached_by_fitted_anchors_only():
    random = np.random.default_rng(1)
    boxes = np.stack([random.uniform(60, 120, 200), random.uniform(8, 12, 200)], 1)
    assert measure_recall(ANCHORS, boxes) == 0
    assert measure_recall(fit_anchors(ANCHORS, boxes), boxes) > 0.5


def test_recall_is_that_of_real_anchors_on_boxes_laid_a_quarter_of_a_cell_off():
    random = np.random.default_rng(2)
    boxes = random.uniform(10, 180, (50, 2))
    reached = np.zeros(len(boxes), bool)
    for sizes, stride in zip(ANCHORS.sizes, ANCHORS.strides, strict=True):
        centre = 320.0 + stride / 4
        laid = np.concatenate([centre - boxes / 2, centre + boxes / 2], 1)
        anchors = make_anchors(10 * 64 // stride, 10 * 64 // stride, stride, sizes, ANCHORS.ratios, torch.device("cpu"))
        reached |= (pairwise_iou(torch.from_numpy(laid).float(), anchors).amax(dim=1) >= 0.5).numpy()
    assert measure_recall(ANCHORS, boxes) == pytest.approx(reached.mean(), abs=0.04)


def test_boxes_that_are_all_alike_are_fitted_too():
    fitted = fit_anchors(ANCHORS, np.full((7, 2), 32.0))
    assert all(level == (32.0,) for level in fitted.sizes) and fitted.ratios == (1.0, 1.0, 1.0)
