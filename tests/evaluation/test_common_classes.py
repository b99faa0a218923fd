"""Measuring on the classes that a model and a data set both have: the judge's numbers of these classes."""

import json

import numpy as np
import pytest

from coco_files import disturb, judge, make_data, write
from maskzoo.datasets.classes import ClassMap, match_classes
from maskzoo.datasets.coco_reader import pack_annotations
from maskzoo.evaluation.common_classes import keep_common
from maskzoo.evaluation.job import evaluate
from maskzoo.evaluation.metrics import compute_metrics
from maskzoo.evaluation.results import check_results


def agree(metrics, data, rows, kind, categories):
    expected = np.array(judge(data, rows, kind, categories)[0], float)
    np.testing.assert_allclose(np.array(metrics.values, float), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("known", [("class 0", "class 2"), ("class 1",), ("CLASS_2", "class 0", "class 7")], ids=str)
def test_numbers_of_the_common_classes_are_the_judges_of_these_categories(known):
    data = make_data(images=5, objects=6)
    annotations, rows = pack_annotations(data, "val.json"), disturb(data)
    results = check_results(rows, annotations, "rows.json")
    match = match_classes(ClassMap(tuple(range(len(known))), known), annotations.classes, "net", "val.json")
    kept, found, gone = keep_common(annotations, results, match)
    wanted = [row for row in data["categories"] if row["name"] in [name.lower().replace("_", " ") for name in known]]
    evaluation, ids = compute_metrics(kept, found), [row["id"] for row in wanted]
    for kind, metrics in (("bbox", evaluation.box), ("segm", evaluation.mask)):
        agree(metrics, data, rows, kind, ids)
    whole = compute_metrics(annotations, results)
    assert [evaluation.box.classes[place] for place in range(len(ids))] == [
        whole.box.classes[annotations.classes.ids.index(number)] for number in ids
    ]
    counts = {
        row["id"]: sum(one["category_id"] == row["id"] and not one["iscrowd"] for one in data["annotations"]) for row in wanted
    }
    assert evaluation.objects.tolist() == list(counts.values()) and len(kept) == 5
    assert [one.name for one in gone] == [row["name"] for row in data["categories"] if row not in wanted]
    assert (
        found.left_out == sum(row["category_id"] not in ids for row in rows)
        and evaluation.detections == len(rows) - found.left_out
    )


def test_equal_classes_leave_everything_as_it_is():
    data = make_data()
    annotations = pack_annotations(data, "val.json")
    results = check_results(disturb(data), annotations, "rows.json")
    match = match_classes(annotations.classes, annotations.classes, "net", "val.json")
    for given in (match, None):
        kept, found, gone = keep_common(annotations, results, given)
        assert kept is annotations and found is results and gone == ()


def test_an_index_with_other_classes_is_scored_on_those_in_common(tmp_path):
    """Results of a model that has one class more, calls one otherwise and lacks one."""
    data = make_data(images=5, objects=6)
    rows = disturb(data)
    ids = {row["id"]: place for place, row in enumerate(data["categories"])}  # 0, 1, 2
    index = data | {
        "annotations": [],
        "categories": [{"id": 0, "name": "Class-0"}, {"id": 1, "name": "class 1"}, {"id": 2, "name": "zebra"}],
    }
    write(tmp_path / "images.json", index)
    write(tmp_path / "rows.json", [row | {"category_id": ids[row["category_id"]]} for row in rows])
    notes = []
    run = evaluate(
        None,
        write(tmp_path / "val.json", data),
        predictions=tmp_path / "rows.json",
        on_progress=lambda event: notes.append(event.note),
    )
    agree(run.evaluation.box, data, rows, "bbox", [1, 2])
    agree(run.evaluation.mask, data, rows, "segm", [1, 2])
    assert [(one.id, one.name) for one in run.left_out] == [(5, "class 2")] and run.left_out[0].objects > 0
    assert run.results.left_out == sum(row["category_id"] == 5 for row in rows)
    text = " ".join(filter(None, notes))
    for part in ("zebra", f"class 2 ({run.left_out[0].objects} objects)", "'class 0' for 'Class-0'"):
        assert part in text
    printed = json.loads(json.dumps(run.to_dict()))
    assert printed["classes_left_out"] == [{"id": 5, "name": "class 2", "objects": run.left_out[0].objects}]
    assert printed["detections_left_out"] == run.results.left_out and len(printed["classes"]) == 2
