"""Boundary AP, held against pycocotools whose IoU is replaced by the published rule on dense masks."""

import contextlib
import io

import cv2
import numpy as np
import pytest
from hotcoco import mask as dense_masks
from pycocotools import mask as judge_masks
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from coco_files import disturb, make_data
from maskzoo.datasets.coco_reader import pack_annotations
from maskzoo.evaluation.boundary import encode_boundary, score_boundaries
from maskzoo.evaluation.metrics import compute_metrics
from maskzoo.evaluation.results import Results, check_results


def find_edge(mask):
    """The published rule in its own words: erode by 3 x 3 as often as 2 % of the diagonal, with a frame of zeros."""
    times = max(1, round(0.02 * np.hypot(*mask.shape)))
    framed = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    return mask - cv2.erode(framed, np.ones((3, 3), np.uint8), iterations=times)[1:-1, 1:-1]


class BoundaryJudge(COCOeval):
    """pycocotools with the smaller of mask IoU and boundary IoU."""

    def computeIoU(self, image, category):  # noqa: N802 (its name)
        plain = super().computeIoU(image, category)
        if not len(plain):
            return plain
        truth = self._gts[image, category]
        found = sorted(self._dts[image, category], key=lambda row: -row["score"])[: self.params.maxDets[-1]]
        edges = [
            [judge_masks.encode(np.asfortranarray(find_edge(dense_masks.decode(owner.annToRLE(row))))) for row in rows]
            for owner, rows in ((self.cocoDt, found), (self.cocoGt, truth))
        ]
        return np.minimum(plain, judge_masks.iou(*edges, [row["iscrowd"] for row in truth]))


def judge_boundaries(data, rows):
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = data
        truth.createIndex()
        judge = BoundaryJudge(truth, truth.loadRes(rows), "segm")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return judge


@pytest.mark.parametrize("seed", range(4))
def test_boundary_ap_is_that_of_pycocotools_with_the_published_rule(seed):
    data = make_data(images=6, objects=8, seed=seed)
    for row in data["annotations"]:
        row["ignore"] = 0
    rows = disturb(data, seed, false=30)
    annotations = pack_annotations(data, "a.json")
    found = score_boundaries(annotations, check_results(rows, annotations, "rows.json"))
    judge = judge_boundaries(data, [{name: row[name] for name in row if name != "bbox"} for row in rows])
    assert (found.ap, found.ap50, found.ap75) == pytest.approx(judge.stats[:3], abs=1e-9)
    precision = judge.eval["precision"][:, :, :, 0, 2]
    assert found.classes == pytest.approx(precision.mean(axis=(0, 1)), abs=1e-9)
    mask = compute_metrics(annotations, check_results(rows, annotations, "rows.json")).mask
    assert 0 < found.ap < mask.ap  # edges are judged more strictly


@pytest.mark.parametrize("size", [(40, 60), (300, 500)])
def test_an_edge_is_that_of_the_published_rule_at_the_frame_too(size):
    mask = np.zeros(size, np.uint8)
    mask[: size[0] // 2, 5 : size[1] // 2] = 1
    mask[10:14, 20:24] = 0
    runs = judge_masks.encode(np.asfortranarray(mask))
    edge = encode_boundary({"size": list(size), "counts": runs["counts"]})
    np.testing.assert_array_equal(dense_masks.decode(edge), find_edge(mask))


def test_without_detections_it_is_zero_and_without_objects_it_is_none():
    data = make_data()
    assert score_boundaries(pack_annotations(data, "a.json"), Results()).ap == 0
    data["annotations"] = []
    assert score_boundaries(pack_annotations(data, "a.json"), Results()).ap is None
