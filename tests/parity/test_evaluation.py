"""COCO's numbers on real annotations: as published for the made-up results, and as pycocotools has them."""

import json

import numpy as np
import pytest

from coco_files import disturb, judge, write
from maskzoo.datasets.coco_reader import read_annotations
from maskzoo.evaluation.metrics import compute_metrics
from maskzoo.evaluation.results import read_results
from shared_data import need_shared

# pycocotools 2.0.11 on these files, to 8 decimals
EXPECTED = {
    "bbox": [
        0.5045807, 0.69697272, 0.57298167, 0.58562572, 0.51939969, 0.5013979,
        0.38681278, 0.59367958, 0.59535298, 0.63981096, 0.5664206, 0.5642906,
    ],
    "segm": [
        0.31954528, 0.5622884, 0.29892653, 0.38737403, 0.31018272, 0.32693391,
        0.26822972, 0.41544868, 0.4168395, 0.46944986, 0.37675923, 0.38147151,
    ],
}  # fmt: skip


@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_the_made_up_results_of_val2014_have_their_known_numbers(kind):
    folder = need_shared("data", "evaluation", "fakesegm100")
    truth = folder / "instances_val2014_100.json"
    rows = folder / f"instances_val2014_fake{kind}100_results.json"
    annotations = read_annotations(truth)
    evaluation = compute_metrics(annotations, read_results(rows, annotations))
    found = (evaluation.box if kind == "bbox" else evaluation.mask).values
    np.testing.assert_allclose(found, EXPECTED[kind], rtol=0, atol=5.1e-9)
    judged, _ = judge(json.loads(truth.read_text()), json.loads(rows.read_text()), kind)
    np.testing.assert_allclose(found, judged, rtol=0, atol=1e-9)
    assert (evaluation.mask if kind == "bbox" else evaluation.box) is None


@pytest.mark.parametrize("name", ["val2017", "train2017"])
def test_disturbed_ground_truth_of_real_pictures_has_pycocotools_numbers(name, tmp_path):
    truth = need_shared("data", "coco", "annotations", f"instances_{name}.json")
    data = json.loads(truth.read_text())
    rows = disturb(data, seed=len(name), false=500)
    assert sum(row["iscrowd"] for row in data["annotations"]) >= 14
    annotations = read_annotations(truth)
    evaluation = compute_metrics(annotations, read_results(write(tmp_path / "rows.json", rows), annotations))
    for metrics, kind in ((evaluation.box, "bbox"), (evaluation.mask, "segm")):
        assert 0.1 < metrics.ap < 0.9
        np.testing.assert_allclose(metrics.values, judge(data, rows, kind)[0], rtol=0, atol=1e-9)
