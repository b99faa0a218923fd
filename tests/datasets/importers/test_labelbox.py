"""Labelbox's exports become COCO: polygons and boxes in pixels, masks that lie elsewhere by name."""

import json

import pytest

from five_objects import HEIGHT, OUTLINES, TRUTH, WIDTH, list_objects, write_pictures
from maskzoo.datasets.importers.builder import ImportOptions
from maskzoo.datasets.importers.labelbox import has_labelbox_rows, read_labelbox
from maskzoo.errors import SourceError


def polygon(label, points, **more):
    corners = [{"x": x, "y": y} for x, y in points]
    return {"feature_id": "f", "name": label, "value": label, "annotation_kind": "ImagePolygon", "polygon": corners} | more


def row(name, objects, labels=1):
    label = {"label_kind": "Default", "annotations": {"objects": objects, "classifications": [], "relationships": []}}
    return {
        "data_row": {"id": f"id-{name}", "external_id": name, "row_data": f"https://storage.labelbox.com/x/{name}"},
        "media_attributes": {"height": HEIGHT, "width": WIDTH, "asset_type": "image"},
        "projects": {"p1": {"name": "project", "labels": [label] * labels}},
    }


def make():
    return [row(name, [polygon(label, points) for label, points in rows]) for name, rows in OUTLINES.items()]


def write(folder, rows, name="export.ndjson"):
    write_pictures(folder / "images")
    (folder / name).write_text("".join(json.dumps(one) + "\n" for one in rows))
    return folder


def test_a_row_a_line_and_a_list_hold_the_same_objects(tmp_path):
    lines = write(tmp_path / "lines", make())
    whole = write(tmp_path / "list", [make()], "export.json")
    assert has_labelbox_rows(lines) and has_labelbox_rows(lines / "export.ndjson") and not has_labelbox_rows(whole)
    for source in (lines, lines / "export.ndjson", whole, whole / "export.json"):
        draft = read_labelbox(source, ImportOptions())[""]
        assert list_objects(draft) == TRUTH and draft.skipped == []


def test_boxes_are_asked_about_and_masks_elsewhere_and_points_are_left_out_by_name(tmp_path):
    objects = [
        polygon("scratch", OUTLINES["a1.jpg"][0][1]),
        {
            "name": "dent",
            "annotation_kind": "ImageBoundingBox",
            "bounding_box": {"top": 20, "left": 10, "height": 30, "width": 40},
        },
        {"name": "dent", "annotation_kind": "ImageSegmentationMask", "mask": {"url": "https://api.labelbox.com/masks/1"}},
        {
            "name": "dent",
            "annotation_kind": "ImageSegmentationMask",
            "composite_mask": {"url": "https://x", "color_rgb": [1, 2, 3]},
        },
        {"name": "dent", "annotation_kind": "ImagePoint", "point": {"x": 1, "y": 2}},
        polygon("dent", [[1, 1], [2, 2]]),
        polygon("dent", [[1, 1], [2, "x"], [3, 3]]),
        7,
    ]
    draft = read_labelbox(write(tmp_path, [row("a1.jpg", objects)]), ImportOptions())[""]
    assert list_objects(draft) == TRUTH[:1] and draft.refused == [f"{tmp_path / 'export.ndjson'}: line 1: object 1"]
    said = ["Labelbox's server", "Labelbox's server", "'ImagePoint' has no area", "2 points", "finite numbers", "label None"]
    assert all(words in one.reason for words, one in zip(said, draft.skipped, strict=True)), draft.skipped
    draft = read_labelbox(tmp_path, ImportOptions(boxes="masks"))[""]
    assert draft.annotations[1]["bbox"] == [10, 20, 40, 30]


def test_answers_about_an_object_are_kept(tmp_path):
    answers = [
        {"name": "depth", "radio_answer": {"name": "deep", "classifications": []}},
        {"name": "damage", "checklist_answers": [{"name": "dented"}, {"name": "painted"}]},
        {"name": "note", "text_answer": {"content": "by hand"}},
    ]
    one = polygon("scratch", OUTLINES["a1.jpg"][0][1], classifications=answers)
    (found,) = read_labelbox(write(tmp_path, [row("a1.jpg", [one])]), ImportOptions())[""].annotations
    assert found["attributes"] == {"depth": "deep", "damage": ["dented", "painted"], "note": "by hand"}


def test_rows_without_a_label_with_several_or_torn_are_told(tmp_path):
    rows = make()
    rows[0]["projects"]["p1"]["labels"] *= 2
    rows[0]["data_row"]["external_id"] = None
    write(tmp_path, [*rows, row("a4.jpg", [], labels=0)])
    with (tmp_path / "export.ndjson").open("a") as file:
        file.write("{torn\n\n[]\n")
    draft = read_labelbox(tmp_path, ImportOptions())[""]
    assert list_objects(draft) == TRUTH
    assert [(one.row, one.reason[:9]) for one in draft.skipped] == [
        ("line 4", "has no la"),
        ("line 5", "no JSON: "),
        ("line 7", "not a row"),
    ]
    assert "Of several labels of a picture the first was taken: line 1" in draft.notes


def test_the_first_version_has_the_same_under_other_names(tmp_path):
    rows = []
    for name, shapes in OUTLINES.items():
        objects = [
            {"title": label, "value": label, "schemaId": "x", "polygon": polygon(label, points)["polygon"]}
            for label, points in shapes
        ]
        rows.append({"ID": name, "Labeled Data": f"https://x/{name}", "External ID": name, "Label": {"objects": objects}})
    rows[0]["Label"]["objects"] += [
        {"title": "dent", "bbox": {"top": 20, "left": 10, "height": 30, "width": 40}},
        {"title": "dent", "instanceURI": "https://api.labelbox.com/masks/1"},
    ]
    rows.append({"ID": "4", "Labeled Data": "https://x/a4.jpg", "External ID": "a4.jpg", "Label": "Skip", "Skipped": True})
    draft = read_labelbox(write(tmp_path, [rows], "export.json"), ImportOptions(boxes="masks"))[""]
    assert list_objects(draft) == [*TRUTH[:2], ("a1.jpg", "dent", [10, 20, 40, 30]), *TRUTH[2:]]
    assert [row.reason[:17] for row in draft.skipped] == ["has no label yet", "a mask that lies "]


def test_a_file_of_other_rows_is_not_taken(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "words"}\n')
    assert not has_labelbox_rows(tmp_path)
    with pytest.raises(SourceError, match="expected data_row and projects"):
        read_labelbox(tmp_path, ImportOptions())
