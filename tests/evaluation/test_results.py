"""Result rows: from predictions, from a file with every fault named, and back to a file."""

import json

import numpy as np
import pytest

from coco_files import count_runs, disturb, make_data, write
from maskzoo.datasets.coco_reader import pack_annotations
from maskzoo.errors import AnnotationsError, MaskzooError
from maskzoo.evaluation.results import Results, read_results
from maskzoo.inference.prediction import make_prediction

DATA = make_data()
NAN = float("nan")


@pytest.fixture
def annotations():
    return pack_annotations(DATA, "a.json")


def predict(size=(62, 80), count=3):
    """Make a prediction without a network."""
    random = np.random.default_rng(0)
    boxes = np.array([[5, 5, 40, 30], [20, 10, 70, 60], [0, 0, 20, 20]], np.float32)[:count]
    masks = random.random((count, 28, 28)).astype(np.float32)
    scores, labels = np.array([0.9, 0.5, 0.3], np.float32)[:count], np.array([2, 0, 1])[:count]
    classes = {1: "class 0", 2: "class 1", 5: "class 2"}
    return make_prediction(boxes, scores, labels, masks, size=size, scale=(1.0, 1.0), classes=classes)


def test_a_prediction_becomes_the_rows_that_it_writes_itself(annotations):
    results = Results()
    results.add_prediction(0, predict(), (62, 80), np.arange(3))
    assert list(results.to_rows(annotations)) == [
        {key: row[key] for key in ("image_id", "category_id", "bbox", "score", "segmentation")} for row in predict().to_coco(10)
    ]
    assert results.areas.tolist() == predict().masks.area().tolist()


def test_labels_are_translated_to_the_data_sets(annotations):
    results = Results()
    results.add_prediction(1, predict(), (62, 80), np.array([1, 2, 0]))
    assert results.labels.tolist() == [0, 1, 2]
    assert results.images.tolist() == [1, 1, 1]


def test_a_photo_of_another_size_than_annotated_is_refused():
    results = Results()
    with pytest.raises(MaskzooError, match=r"found a photo of 62 x 80 pixels .*expected 80 x 62"):
        results.add_prediction(0, predict(size=(80, 62)), (62, 80), np.arange(3))
    assert len(results) == 0


def test_rows_go_to_a_file_and_back_unchanged(annotations, tmp_path):
    rows = disturb(DATA)
    results = read_results(write(tmp_path / "rows.json", rows), annotations)
    (tmp_path / "again.json").write_bytes(results.to_json(annotations))
    assert json.loads((tmp_path / "again.json").read_text()) == rows
    again = read_results(tmp_path / "again.json", annotations)
    assert (again.areas == results.areas).all() and again.areas.min() > 0


def test_no_rows_are_an_empty_list(annotations, tmp_path):
    (tmp_path / "rows.json").write_bytes(Results().to_json(annotations))
    results = read_results(tmp_path / "rows.json", annotations)
    assert (len(results), results.has_boxes, results.has_masks) == (0, True, True)


def test_uncompressed_run_lengths_are_taken(annotations, tmp_path):
    mask = np.zeros((62, 80), np.uint8)
    mask[3:9, 4:50] = 1
    row = {"image_id": 10, "category_id": 1, "score": 1, "segmentation": {"size": [62, 80], "counts": count_runs(mask)}}
    results = read_results(write(tmp_path / "rows.json", [row]), annotations)
    assert results.areas.tolist() == [6 * 46]
    assert (results.has_boxes, results.has_masks) == (False, True)


def test_some_images_rows_are_taken_and_numbered_anew(annotations, tmp_path):
    results = read_results(write(tmp_path / "rows.json", disturb(DATA)), annotations)
    keep = np.array([True, False, True])
    some = results.take_images(keep)
    expected = [row for row in results.to_rows(annotations) if row["image_id"] != 20]
    assert list(some.to_rows(annotations.select(keep))) == expected
    assert len(some.areas) == len(some) < len(results)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"image_id": 11}, "image_id"),
        ({"image_id": "10"}, "image_id"),
        ({"category_id": 3}, "category_id"),
        ({"score": NAN}, "score"),
        ({"score": None}, "score"),
        ({"bbox": [1, 2, 3]}, "bbox"),
        ({"bbox": [1, 2, 3, NAN]}, "bbox"),
        ({"bbox": [1, 2, -3, 4]}, "bbox"),
        ({"segmentation": [[1, 1, 9, 1, 9, 9]]}, "segmentation.size"),
        ({"segmentation": {"size": [6000, 8000], "counts": "0"}}, "segmentation.size"),
        ({"segmentation": {"size": [62, 80], "counts": "ooooooo0"}}, "segmentation.counts"),
        ({"segmentation": {"size": [62, 80], "counts": [1, 2]}}, "segmentation.counts"),
        ({"segmentation": {"size": [62, 80], "counts": None}}, "segmentation.counts"),
    ],
    ids=str,
)
def test_a_fault_of_a_row_is_found_with_its_place_and_field(values, field, annotations, tmp_path):
    good = next(row for row in disturb(DATA) if row["image_id"] == 10)
    with pytest.raises(AnnotationsError) as error:
        read_results(write(tmp_path / "rows.json", [good, good | values, good]), annotations)
    assert [(fault.name_row(), fault.name_field()) for fault in error.value.faults] == [("row 1", field)]
    assert "rows.json: row 1: " in str(error.value)


@pytest.mark.parametrize("content", [{"a": 1}, [5], [{"image_id": 10}], "text"])
def test_a_file_that_holds_no_rows_is_refused(content, annotations, tmp_path):
    with pytest.raises(AnnotationsError, match=r"rows\.json: .*expected"):
        read_results(write(tmp_path / "rows.json", content), annotations)


def test_rows_of_two_kinds_are_refused(annotations, tmp_path):
    rows = disturb(DATA)[:3]
    del rows[1]["bbox"]
    with pytest.raises(AnnotationsError, match="row 1: row: found other fields"):
        read_results(write(tmp_path / "rows.json", rows), annotations)
