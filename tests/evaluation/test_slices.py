"""Parts of a data set, each with numbers that are known beforehand."""

import json

import pytest

from grids import SIDE, detect, find_all, load, make_grid
from maskzoo.datasets.coco_reader import read_annotations
from maskzoo.evaluation.analysis import analyze
from maskzoo.evaluation.results import check_results


def slice_up(annotations, results):
    return {(one.by, one.name): one for one in analyze(annotations, results).errors.slices}


def test_crowded_images_have_an_ap_of_their_own():
    data = make_grid()
    data["annotations"] = [row for row in data["annotations"] if row["image_id"] > 1 or row["id"] < 103]  # 3 of 8 on the first
    rows = [row for row in find_all(data) if row["image_id"] == 1]
    slices = slice_up(*load(data, rows))
    few, many = slices["crowding", "1 to 3 objects"], slices["crowding", "4 to 10 objects"]
    assert (few.images, few.objects, few.found, few.ap) == (1, 3, 1, pytest.approx(1))
    assert (many.images, many.objects, many.found, many.ap) == (3, 24, 0, 0)
    assert ("crowding", "more than 10 objects") not in slices


def test_objects_at_the_frame_are_told_from_those_within():
    data = make_grid()
    for row in data["annotations"][:2]:
        row["bbox"][0], row["area"] = 0, 97**2
        row["segmentation"] = [[x - 10 if place % 2 == 0 else x for place, x in enumerate(row["segmentation"][0])]]
    rows = [detect(data, row) for row in data["annotations"][2:]]
    slices = slice_up(*load(data, rows))
    frame = slices["position", "at the frame"]
    assert (frame.images, frame.objects, frame.found, frame.ap) == (1, 2, 0, None)
    assert sum(one.objects for (by, _), one in slices.items() if by == "position") == 32
    assert slices["size", "large"].found == 0 and slices["size", "small"].found == 1


def test_tags_and_attributes_of_the_file_make_slices(tmp_path):
    data = make_grid()
    data["images"][0] |= {"tags": ["night"], "attributes": {"weather": "rain"}}
    for row in data["annotations"]:
        row["attributes"] = {"occluded": row["id"] % 2 == 0, "track": row["id"]}
    (tmp_path / "a.json").write_text(json.dumps(data))
    annotations = read_annotations(tmp_path / "a.json")
    rows = [
        detect(data, row, shift=0 if row["attributes"]["occluded"] or row["image_id"] == 1 else SIDE)
        for row in data["annotations"]
    ]
    slices = slice_up(annotations, check_results(rows, annotations, "rows.json"))
    assert slices["tag", "night"].ap == slices["tag", "weather: rain"].ap == pytest.approx(1)
    assert slices["attribute", "occluded: yes"].found == 1
    assert slices["attribute", "occluded: no"].found == pytest.approx(4 / 16)
    assert not any("track" in name for _, name in slices)  # 32 values are no slices
