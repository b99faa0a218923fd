"""What is behind the AP, held against pycocotools and against matching done the plain way on whole masks."""

import json

import numpy as np
import pytest
from hotcoco import mask as dense_masks
from pycocotools import mask as judge_masks

from coco_files import disturb, judge, make_data
from maskzoo.datasets.coco_reader import pack_annotations
from maskzoo.evaluation.analysis import IGNORED, analyze
from maskzoo.evaluation.metrics import compute_metrics
from maskzoo.evaluation.results import Results, check_results


def load(data, rows):
    annotations = pack_annotations(data, "a.json")
    return annotations, check_results(rows, annotations, "rows.json")


@pytest.fixture(params=range(3))
def made(request):
    data = make_data(images=6, objects=8, seed=request.param)
    return data, disturb(data, request.param, false=30)


def without(rows, key):
    return [{name: value for name, value in row.items() if name != key} for row in rows]


@pytest.mark.parametrize("score", [-2.5, 1.5, 2147483647])
def test_scores_that_are_no_probabilities_have_no_calibration(score):
    data = make_data()
    rows = disturb(data)
    rows[0]["score"] = score
    annotations, results = load(data, rows)
    calibration = analyze(annotations, results).errors.calibration
    assert calibration.error is None and calibration.bins == () and calibration.by_class == (None,) * len(data["categories"])
    json.dumps(analyze(annotations, results).to_dict(annotations), allow_nan=False)


@pytest.mark.parametrize(("kind", "left_out"), [("segm", None), ("bbox", "segmentation")])
def test_the_area_under_the_curves_is_pycocotools_ap(made, kind, left_out):
    data, rows = made
    annotations, results = load(data, without(rows, left_out))
    analysis = analyze(annotations, results)
    numbers, evaluator = judge(data, rows, kind)
    assert analysis.kind == {"segm": "mask", "bbox": "box"}[kind]
    assert np.nanmean(analysis.precision50) == pytest.approx(numbers[1], abs=1e-9)
    assert np.nanmean(analysis.precision75) == pytest.approx(numbers[2], abs=1e-9)
    np.testing.assert_allclose(analysis.precision50, evaluator.eval["precision"][0, :, :, 0, 2].T, rtol=0, atol=1e-12)
    evaluation = compute_metrics(annotations, results)
    metrics = evaluation.mask if kind == "segm" else evaluation.box
    for label, one in enumerate(metrics.classes):
        assert analysis.precision50[label].mean() == pytest.approx(one.ap50, abs=1e-9)


def test_a_class_without_an_object_has_no_curve(made):
    data, rows = made
    data["annotations"] = [row for row in data["annotations"] if row["category_id"] != 2]
    analysis = analyze(*load(data, rows))
    assert np.isnan(analysis.precision50[1]).all() and not np.isnan(analysis.precision50[[0, 2]]).any()


def match_plainly(data, rows, image, *, same_class):
    """Match rows, best score first, to the objects of an image by dense masks: pairs, false rows, and missed objects."""
    size = image["height"], image["width"]
    objects = [row for row in data["annotations"] if row["image_id"] == image["id"]]
    truth = [dense_masks.decode(encode(row["segmentation"], size)).astype(bool) for row in objects]
    found, false, taken = [], [], set()
    for row in sorted((row for row in rows if row["image_id"] == image["id"]), key=lambda row: -row["score"]):
        mask = dense_masks.decode(row["segmentation"]).astype(bool)
        best, dropped = (0.5 - 1e-9, None), False
        for place, thing in enumerate(objects):
            alike = thing["category_id"] == row["category_id"]
            shared = (mask & truth[place]).sum()
            if thing["iscrowd"]:
                dropped |= alike and shared / mask.sum() >= 0.5
            elif place not in taken and (alike or not same_class):
                best = max(best, (shared / (mask | truth[place]).sum(), -place), key=lambda pair: pair[0])
        if best[1] is not None:
            taken.add(-best[1])
            found.append((row, objects[-best[1]], best[0]))
        elif not dropped:
            false.append(row)
    missed = [row for place, row in enumerate(objects) if not row["iscrowd"] and place not in taken]
    return found, false, missed


def encode(outline, size):
    if isinstance(outline, list):
        return judge_masks.merge(judge_masks.frPyObjects(outline, *size))
    return judge_masks.frPyObjects(outline, *size) if isinstance(outline["counts"], list) else outline


@pytest.mark.parametrize("threshold", [0.0, 0.4])
def test_confusion_counts_what_plain_matching_across_classes_counts(made, threshold):
    data, rows = made
    annotations, results = load(data, rows)
    label = {number: place for place, number in enumerate(annotations.classes.ids)}
    expected = np.zeros((4, 4), int)
    for image in data["images"]:
        kept = [row for row in rows if row["score"] >= threshold]
        found, false, missed = match_plainly(data, kept, image, same_class=False)
        for row, thing, _ in found:
            expected[label[thing["category_id"]], label[row["category_id"]]] += 1
        for row in false:
            expected[3, label[row["category_id"]]] += 1
        for thing in missed:
            expected[label[thing["category_id"]], 3] += 1
    analysis = analyze(annotations, results, threshold=threshold)
    np.testing.assert_array_equal(analysis.confusion, expected)
    assert (expected - np.diag(np.diag(expected)))[:3, :3].sum() > 0  # some classes were mixed up


def test_the_quality_of_images_is_that_of_plain_matching(made):
    data, rows = made
    annotations, results = load(data, rows)
    analysis = analyze(annotations, results, threshold=0.3)
    for image in data["images"]:
        place = annotations.image_ids.tolist().index(image["id"])
        kept = [row for row in rows if row["score"] >= 0.3]
        found, false, missed = match_plainly(data, kept, image, same_class=True)
        scores = analysis.images
        assert (scores.found[place], scores.false[place], scores.missed[place]) == (len(found), len(false), len(missed))
        quality = sum(iou for _, _, iou in found) / (len(found) + (len(false) + len(missed)) / 2)
        assert scores.quality[place] == pytest.approx(quality)
    ranked = analysis.images.quality[analysis.images.rank()]
    assert (np.diff(ranked) <= 0).all() and len(ranked) == 6


def test_the_best_score_is_that_of_trying_every_one(made):
    data, rows = made
    annotations, results = load(data, rows)
    analysis = analyze(annotations, results)
    objects = int((~annotations.crowd).sum())
    counted = analysis.matches != IGNORED
    assert 0 < (~counted).sum() < 12  # on the crowd

    def f1(score):
        kept = counted & (results.scores >= score)
        return 2 * (analysis.matches[kept] >= 0).sum() / (kept.sum() + objects)

    sweep = analysis.sweep
    assert sweep.best_f1 == max(f1(score) for score in results.scores) == f1(sweep.best_score)
    assert analysis.threshold == sweep.best_score
    np.testing.assert_allclose(sweep.f1, [f1(score) for score in sweep.scores], rtol=0, atol=1e-12)
    assert sweep.recall[0] == (analysis.matches >= 0).sum() / objects


def test_perfect_results_are_perfect():
    data = make_data(images=3, objects=4, crowd=False)
    images = {image["id"]: image for image in data["images"]}
    rows = [
        {
            "image_id": row["image_id"],
            "category_id": row["category_id"],
            "score": 0.9,
            "segmentation": judge_rle(row["segmentation"], images[row["image_id"]]),
        }
        for row in data["annotations"]
    ]
    analysis = analyze(*load(data, rows))
    assert analysis.images.quality.tolist() == [1, 1, 1] and analysis.sweep.best_f1 == 1 and analysis.threshold == 0.9
    assert analysis.confusion.sum() == np.trace(analysis.confusion) == 12
    assert (analysis.precision75[~np.isnan(analysis.precision75)] == 1).all()


def judge_rle(outline, image):
    runs = encode(outline, (image["height"], image["width"]))
    counts = runs["counts"]
    return {"size": [image["height"], image["width"]], "counts": counts.decode() if isinstance(counts, bytes) else counts}


@pytest.mark.parametrize("objects", [0, 4])
def test_nothing_found_is_no_error(objects):
    annotations = pack_annotations(make_data(objects=objects, crowd=False), "a.json")
    analysis = analyze(annotations, Results())
    assert (analysis.sweep.best_score, analysis.threshold) == (None, 0.5)
    assert analysis.confusion[:, -1].sum() == 3 * objects and len(analysis.images.rank()) == (3 if objects else 0)


def test_an_image_with_detections_only_is_judged_too():
    data = make_data(images=2, objects=3, crowd=False)
    rows = disturb(data, false=0)
    data["annotations"] = [row for row in data["annotations"] if row["image_id"] == 20]
    analysis = analyze(*load(data, rows), threshold=0)
    assert analysis.images.quality[0] == 0 and analysis.images.false[0] == sum(row["image_id"] == 10 for row in rows)
