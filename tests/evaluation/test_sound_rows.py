"""A sound result file is read by its schema to what the careful reader makes of it; anything else is left to that one."""

import json

import numpy as np
import pytest

from coco_files import disturb, make_data
from maskzoo.datasets.coco_reader import pack_annotations
from maskzoo.evaluation.numbering import number_by_ids
from maskzoo.evaluation.results import check_results, read_results
from maskzoo.evaluation.sound_rows import read_sound_rows


def write(tmp_path, rows):
    path = tmp_path / "rows.json"
    path.write_text(rows if isinstance(rows, str) else json.dumps(rows))
    return path


@pytest.mark.parametrize("fields", [("bbox", "segmentation"), ("bbox",), ("segmentation",)])
def test_both_readers_give_the_same(tmp_path, fields):
    data = make_data(images=5)
    annotations = pack_annotations(data, "a.json")
    rows = [
        {key: value for key, value in row.items() if key not in ("bbox", "segmentation") or key in fields}
        for row in disturb(data)
    ]
    path = write(tmp_path, rows)
    assert read_sound_rows(path, annotations, number_by_ids(annotations)) is not None
    ours, careful = read_results(path, annotations), check_results(rows, annotations, str(path))
    assert len(ours) == len(rows) > 10 and (ours.has_boxes, ours.has_masks) == (careful.has_boxes, careful.has_masks)
    for name in ("images", "labels", "scores", "boxes", "areas"):
        assert np.array_equal(getattr(ours, name), getattr(careful, name)), name
    assert ours.runs == careful.runs


ROW = {"image_id": 10, "category_id": 1, "score": 0.5, "bbox": [1, 2, 3, 4]}


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [ROW | {"score": "0.5"}],
        [ROW | {"image_id": "10"}],
        [ROW | {"image_id": 11}],
        [ROW | {"category_id": 3}],
        [ROW | {"segmentation": {"size": [60, 80], "counts": "P[4"}}],
        [ROW | {"segmentation": {"size": [62, 80], "counts": "0"}}],
        [ROW | {"segmentation": {"size": [62, 80], "counts": "\u00e9"}}],
        [ROW | {"bbox": [1, 2, 3]}],
        [ROW | {"bbox": [1, 2, -3, 4]}],
        [ROW | {"score": 1e16}],
        [ROW, ROW | {"segmentation": {"size": [62, 80], "counts": "PZ4"}}],
        [{key: value for key, value in ROW.items() if key != "bbox"}],
        json.dumps([ROW]).replace("0.5", "NaN"),
        json.dumps([ROW])[:-2] + ', "score": 0.9}]',
        json.dumps([ROW])[:-2] + ', "scor\\u0065": 0.9}]',
        json.dumps([ROW]) + "x",
        {"rows": [ROW]},
    ],
)
def test_what_is_unusual_is_left_to_the_careful_reader(tmp_path, rows):
    annotations = pack_annotations(make_data(), "a.json")
    numbering = number_by_ids(annotations)
    assert read_sound_rows(write(tmp_path, rows), annotations, numbering) is None
    for more in ({}, {"id": 7, "tool": "x"}):
        assert read_sound_rows(write(tmp_path, [ROW | more]), annotations, numbering) is not None
