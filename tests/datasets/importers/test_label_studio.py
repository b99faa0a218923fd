"""Label Studio's tasks become COCO: per cent to pixels, brushes, whose annotation counts, and what is told."""

import base64
import io
import json

import hotcoco.mask
import numpy as np
import pytest
from PIL import Image

from brush_runs import encode_brush
from five_objects import HEIGHT, OUTLINES, TRUTH, WIDTH, list_objects, write_pictures
from maskzoo.datasets.importers.builder import ImportOptions
from maskzoo.datasets.importers.label_studio import is_label_studio, read_label_studio
from maskzoo.errors import SourceError


def region(number, value, kind="polygonlabels", label="scratch", **more):
    labels = {kind: [label] if isinstance(label, str) else label} if label else {}
    sizes = {"original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0}
    return sizes | {"id": f"r{number}", "type": kind, "from_name": "label", "value": value | labels} | more


def per_cent(points):
    return {"points": [[x * 100 / WIDTH, y * 100 / HEIGHT] for x, y in points], "closed": True}


def task(number, name, *results, **more):
    annotation = {"id": number, "result": list(results), "was_cancelled": False}
    return {"id": number, "data": {"image": f"/data/upload/1/0a1b2c3d-{name}"}, "annotations": [annotation]} | more


def make():
    regions = {
        name: [region(at, per_cent(points), label=label) for at, (label, points) in enumerate(rows)]
        for name, rows in OUTLINES.items()
    }
    return [task(number, name, *rows) for number, (name, rows) in enumerate(regions.items(), 1)]


def write(folder, content):
    write_pictures(folder / "images")
    (folder / "project-1.json").write_text(json.dumps(content))
    return folder


def read_one(folder, *results, options=None):
    return read_label_studio(write(folder, [task(1, "a1.jpg", *results)]), options or ImportOptions())[""]


def shorten(tasks):
    """Return JSON-MIN: regions under their control's name, without ids."""
    short = []
    for one in tasks:
        values = [
            row["value"] | {"original_width": WIDTH, "original_height": HEIGHT} for row in one["annotations"][0]["result"]
        ]
        short.append({"image": one["data"]["image"], "id": one["id"], "label": values, "annotator": 1})
    return short


def test_the_whole_form_the_short_one_and_the_old_one_hold_the_same_objects(tmp_path):
    old = [one | {"completions": one["annotations"]} for one in make()]
    for one in old:
        del one["annotations"]
    for name, content in (("whole", make()), ("short", shorten(make())), ("old", old)):
        draft = read_label_studio(write(tmp_path / name, content), ImportOptions())[""]
        assert draft.skipped == [] and list_objects(draft) == TRUTH, name
        assert [note.split(":")[0] for note in draft.notes] == ["Pictures found without the prefix that an upload gave it"]


@pytest.mark.parametrize(
    "address",
    [
        "/data/local-files/?d=photos/a1.jpg",
        "/data/local-files/?d=C%3A%5Cphotos%5Ca1.jpg",
        "https://host/bucket/a1.jpg?X-Amz-Date=1",
        "s3://bucket/a1.jpg",
        "images/a1.jpg",
    ],
)
def test_pictures_are_found_by_the_last_part_of_their_address(tmp_path, address):
    one = make()[0]
    one["data"]["image"] = address
    assert list_objects(read_label_studio(write(tmp_path, [one]), ImportOptions())[""]) == TRUTH[:2]


def test_a_brush_is_the_mask_that_was_painted(tmp_path):
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[20:60, 30:90] = True
    mask[30:40, 40:50] = False  # a hole
    mask[100, 5] = True
    value = {"format": "rle", "rle": encode_brush(mask)}
    draft = read_one(tmp_path, region(0, value, "brushlabels"))
    (row,) = draft.annotations
    found = hotcoco.mask.decode(hotcoco.mask.merge(hotcoco.mask.frPyObjects(row["segmentation"], HEIGHT, WIDTH)))
    assert np.array_equal(found, mask) and row["area"] == mask.sum()


def test_ellipses_turned_rectangles_and_pictures_of_masks_are_outlines_and_upright_rectangles_boxes(tmp_path):
    stream = io.BytesIO()
    Image.fromarray(np.pad(np.full((30, 40), 255, np.uint8), ((10, 80), (20, 100)))).save(stream, "PNG")
    url = "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
    results = [
        region(0, {"x": 50, "y": 50, "radiusX": 25, "radiusY": 10, "rotation": 0}, "ellipselabels"),
        region(1, {"x": 50, "y": 50, "width": 25, "height": 10, "rotation": 90}, "rectanglelabels"),
        region(2, {"imageDataURL": url}, "bitmasklabels"),
        region(3, {"x": 25, "y": 25, "width": 50, "height": 50, "rotation": 0}, "rectanglelabels"),
    ]
    draft = read_one(tmp_path, *results)
    assert draft.refused == [f"{tmp_path / 'project-1.json'}: task 1: region r3"]
    boxes = [[40, 48, 80, 24], [68, 60, 12, 40], [20, 10, 40, 30]]
    assert [row["bbox"] for row in draft.annotations] == [pytest.approx(box, abs=0.3) for box in boxes]
    draft = read_one(tmp_path, *results, options=ImportOptions(boxes="crowds"))
    assert draft.annotations[-1]["bbox"] == [40, 30, 80, 60] and draft.annotations[-1]["iscrowd"] == 1


def test_regions_that_cannot_be_objects_are_left_out_by_name(tmp_path):
    results = [
        region(0, {"x": 5, "y": 5, "width": 0.3}, "keypointlabels"),
        region(1, per_cent([[1, 1], [9, 9]])),
        region(2, per_cent([[1, 1], [9, 9], [1, 9]]) | {"closed": False}),
        region(3, {"rle": encode_brush(np.zeros((HEIGHT, WIDTH)))}, "brushlabels"),
        region(4, {"rle": encode_brush(np.ones((4, 4)))}, "brushlabels", original_width=4, original_height=4),
        region(5, per_cent(OUTLINES["a1.jpg"][0][1]), label=["scratch", "dent"]),
        region(6, per_cent(OUTLINES["a1.jpg"][0][1]), label=None),
        region(7, per_cent(OUTLINES["a1.jpg"][0][1]), image_rotation=90),
        {"type": "relation", "from_id": "r0", "to_id": "r1"},
        {"type": "choices", "value": {"choices": ["blurred"]}},
        region(8, per_cent(OUTLINES["a1.jpg"][0][1])),
    ]
    draft = read_one(tmp_path, *results)
    assert len(draft.annotations) == 1
    said = ["a point has no", "2 points", "open line", "empty", "4 x 4", "and dent at once", "no label", "turned by 90"]
    assert all(words in row.reason for words, row in zip(said, draft.skipped, strict=True)), draft.skipped
    assert draft.skipped[0].row == "task 1: region r0"


def test_labels_and_answers_in_rows_of_their_own_belong_to_the_region_with_their_id(tmp_path):
    shape = per_cent(OUTLINES["a1.jpg"][0][1])
    results = [
        region(0, shape, "polygon", label=None),
        region(0, shape, "labels", label="dent"),
        region(0, shape | {"choices": ["deep"]}, "choices", label=None, from_name="depth"),
        region(0, shape | {"text": ["by hand"]}, "textarea", label=None, from_name="note"),
    ]
    (row,) = read_one(tmp_path, *results).annotations
    assert row["attributes"] == {"depth": "deep", "note": "by hand"} and row["bbox"] == [20, 20, 50, 60]


def test_the_annotation_that_counts_is_the_first_that_was_not_cancelled_or_the_ground_truth(tmp_path):
    first, second, third = make()
    other = {"result": first["annotations"][0]["result"][:1]}
    first["annotations"] = [{"was_cancelled": True, "result": []}, *first["annotations"], other]
    second["annotations"] = [{"result": []}, second["annotations"][0] | {"ground_truth": True}]
    third["predictions"] = [{"result": third["annotations"][0]["result"]}]
    empty = [task(4, "a1.jpg", annotations=[]), task(5, "a1.jpg", annotations=[{"was_cancelled": True, "result": []}])]
    draft = read_label_studio(write(tmp_path, [first, second, third, *empty]), ImportOptions())[""]
    assert list_objects(draft) == TRUTH
    assert [(row.row, row.reason) for row in draft.skipped] == [
        ("task 4", "has no annotation yet"),
        ("task 5", "its annotation was cancelled"),
    ]
    assert "Of several annotations of a task the first was taken: task 1, task 2" in draft.notes
    assert "Predictions are not read, only what a person has accepted: task 3" in draft.notes


def test_the_short_form_has_a_row_for_each_annotator(tmp_path):
    rows = shorten(make())
    draft = read_label_studio(write(tmp_path, [*rows, rows[0] | {"annotator": 2}]), ImportOptions())[""]
    assert list_objects(draft) == TRUTH and draft.skipped == []
    assert any("Of several annotations" in note for note in draft.notes)


def test_a_picture_that_was_resized_in_both_directions_keeps_its_objects_and_a_bent_one_is_left_out(tmp_path):
    write(tmp_path, make())
    write_pictures(tmp_path / "images", ["a1.jpg"], size=(320, 240))
    write_pictures(tmp_path / "images", ["a2.jpg"], size=(320, 120))
    draft = read_label_studio(tmp_path, ImportOptions())[""]
    assert list_objects(draft)[0] == ("a1.jpg", "scratch", [40, 40, 100, 120])
    assert ["found 320 x 120" in row.reason for row in draft.skipped] == [True]


def test_one_task_alone_and_one_annotation_as_cloud_storage_gets_it_are_read(tmp_path):
    (whole,) = read_label_studio(write(tmp_path / "list", make()[:1]), ImportOptions()).values()
    (first, *_) = make()
    stored = {"id": 3, "task": {key: value for key, value in first.items() if key != "annotations"}}
    for name, content in (("task", first), ("stored", stored | {"result": first["annotations"][0]["result"]})):
        (draft,) = read_label_studio(write(tmp_path / name, content), ImportOptions()).values()
        assert list_objects(draft) == list_objects(whole) and is_label_studio(content)
    assert not is_label_studio({"data": {"image": "a.jpg"}})


def test_tasks_without_a_picture_and_other_files_are_named(tmp_path):
    tasks = [
        *make(),
        {"id": 7, "data": {"one": "a.jpg", "two": "b.jpg"}, "annotations": [{"result": []}]},
        {"id": 8, "data": {"text": "words"}, "annotations": [{"result": []}]},
        "text",
    ]
    (write(tmp_path, tasks) / "other.json").write_text("{}")
    draft = read_label_studio(tmp_path, ImportOptions())[""]
    assert list_objects(draft) == TRUTH and [row.row for row in draft.skipped] == ["", "task 7", "task 8", "place 5"]


def test_a_set_in_which_nobody_has_drawn_is_refused_with_the_reason(tmp_path):
    with pytest.raises(SourceError, match="task 1: has no annotation yet"):
        read_label_studio(write(tmp_path, [task(1, "a1.jpg", annotations=[])]), ImportOptions())
