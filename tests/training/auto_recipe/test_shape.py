import numpy as np
import pytest

from maskzoo.training.auto_recipe.facts import DataFacts
from maskzoo.training.auto_recipe.shape import decide_shape
from maskzoo.zoo.rows import read_row

ROW = read_row("maskzoo_r18_fpn_tiny")


def make_facts(small, middle, *, short_side=400.0, aspect=1.5, most=5):
    boxes = np.full((20, 2), middle)
    return DataFacts(20, short_side, aspect, boxes, small, middle, most, {"cat": 1.0})


@pytest.mark.parametrize(
    ("small", "middle", "side", "reason"),
    [
        (0.1, 0.3, 160, "object-sizes"),  # 16 / 0.1 and 48 / 0.3
        (0.02, 0.04, 608, "size-limit"),
        (0.6, 0.9, 96, "least-size"),
    ],
)
def test_the_input_is_as_large_as_the_objects_want(small, middle, side, reason):
    config, decisions = decide_shape(ROW, make_facts(small, middle))
    assert (decisions[0].value, decisions[0].reason) == (side, reason)
    assert config.input.short_side == side and config.input.long_side >= 1.5 * side
    assert min(config.training.short_sides) < side < max(config.training.short_sides) <= config.training.long_side


@pytest.mark.parametrize(("small", "side"), [(0.1, 160), (0.6, 96), (0.02, 608)])
def test_in_a_hurry_objects_get_the_pixels_that_they_need(small, side):
    """However large half of them are: 16 pixels for a tenth."""
    sizes = [decide_shape(ROW, make_facts(small, middle), hurried=True)[1][0].value for middle in (small, 0.6)]
    assert sizes == [side, side]


def test_a_published_row_gets_more_pixels_of_an_object():
    assert decide_shape(read_row("mask_rcnn_r50_fpn_1x_coco"), make_facts(0.1, 0.3))[0].input.short_side == 256  # 24 / 0.1: 240


def test_an_image_is_not_enlarged_far_beyond_its_size():
    assert decide_shape(ROW, make_facts(0.02, 0.04, short_side=100.0))[0].input.short_side == 160


def test_images_full_of_objects_get_more_detections_and_proposals():
    config, decisions = decide_shape(ROW, make_facts(0.1, 0.3, most=300))
    assert config.limits.detections.total == 450 and config.limits.proposals.total == 900
    assert [one.key for one in decisions if one.reason == "crowded"] == ["limits.detections.total", "limits.proposals.total"]


def test_anchors_are_kept_where_others_gain_nothing():
    config, decisions = decide_shape(ROW, make_facts(0.24, 0.25))
    assert config.network.anchors == ROW.network.anchors
    assert {one.reason for one in decisions if "anchors" in one.key} == {"anchors-usual"}
