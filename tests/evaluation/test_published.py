"""When a published figure is compared, and what is said."""

import json

import numpy as np
import pytest

from coco_files import make_data
from maskzoo.datasets.coco_reader import pack_annotations
from maskzoo.evaluation.metrics import ClassMetrics, Evaluation, Metrics, compute_metrics
from maskzoo.evaluation.published import compare_with_published
from maskzoo.evaluation.results import Results
from maskzoo.zoo.rows import read_row

ROW = read_row("mask_rcnn_r50_fpn_1x_coco")


@pytest.fixture(scope="module")
def val2017():
    """As many images as val2017 has, of the row's classes."""
    images = [{"id": place, "file_name": f"{place}.jpg", "height": 4, "width": 4} for place in range(5000)]
    categories = [{"id": number, "name": name} for number, name in ROW.classes.items()]
    return pack_annotations({"images": images, "annotations": [], "categories": categories}, "val.json")


def measured(box, mask):
    metrics = [Metrics((ap / 100, *(None,) * 11), (ClassMetrics(*(None,) * 5),) * 80) for ap in (box, mask)]
    return Evaluation(*metrics, np.zeros(80, np.int64), 5000, 0)


@pytest.mark.parametrize(("box", "mask", "reached"), [(0, 0, True), (0.049, -0.049, True), (-0.06, 0, False), (0, 0.06, False)])
def test_on_all_of_val2017_the_figures_are_compared(box, mask, reached, val2017):
    published = ROW.source.published
    evaluation = measured(published.box_ap + box, published.mask_ap + mask)
    comparison = compare_with_published(ROW, val2017, evaluation)
    assert comparison.reached is reached
    assert ("Reached" if reached else "NOT reached") in str(comparison)
    assert f"box {box:+.2f}, mask {mask:+.2f}" in str(comparison)


def test_other_data_or_another_run_are_not_compared(val2017):
    small = pack_annotations(make_data(), "a.json")
    comparison = compare_with_published(ROW, small, measured(1, 1))
    assert comparison.reached is None
    assert "Not comparable: the figures belong to the 5,000 images" in str(comparison)
    comparison = compare_with_published(ROW, val2017, measured(1, 1), "this run differs by --set x=1")
    assert comparison.reached is None and "--set x=1" in str(comparison)


def test_torchvisions_row_has_the_categories_of_coco_and_ten_that_do_not_count(val2017):
    row = read_row("torchvision/maskrcnn_resnet50_fpn")
    assert compare_with_published(row, val2017, measured(37.9, 34.6)).reached is True


def test_figures_on_other_data_are_not_compared_and_one_that_is_not_stated_is_left_out(val2017):
    comparison = compare_with_published(read_row("detectron2/Cityscapes_mask_rcnn_R_50_FPN"), val2017, measured(1, 36.5))
    assert comparison.reached is None
    assert "box AP -, mask AP 36.5. Not comparable: the figures belong to Cityscapes val" in str(comparison)
    comparison = compare_with_published(read_row("mmdet/mask-rcnn_x101-32x8d_fpn_ms-poly-3x_coco"), val2017, measured(44.2, 1))
    assert comparison.reached is None and str(comparison).endswith("measured minus published is box -0.10")


def test_a_model_without_published_figures_has_nothing_to_compare(val2017):
    config = ROW.model_copy(update={"source": ROW.source.model_copy(update={"published": None})})
    assert compare_with_published(config, val2017, measured(1, 1)) is None


def test_all_numbers_are_plain_values():
    annotations = pack_annotations(make_data(), "a.json")
    values = json.loads(json.dumps(compute_metrics(annotations, Results()).to_dict(annotations.classes), allow_nan=False))
    assert (values["images"], values["objects"], values["detections"]) == (3, 12, 0)
    assert values["box"]["AP"] == 0 and len(values["mask"]) == 12
    assert [row["id"] for row in values["classes"]] == [1, 2, 5]
    assert sum(row["objects"] for row in values["classes"]) == 12
    assert set(values["classes"][0]["mask"]) == {"ap", "ap50", "ap_small", "ap_medium", "ap_large"}
