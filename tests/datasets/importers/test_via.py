"""VIA's files of all versions become COCO: regions, the attribute that is the class, and what has no area by name."""

import csv
import json

import pytest

from five_objects import OUTLINES, TRUTH, list_objects, write_pictures
from maskzoo.datasets.importers.builder import ImportOptions
from maskzoo.datasets.importers.via import has_via_csv, read_via
from maskzoo.errors import SourceError


def polygon(points, **more):
    return {"name": "polygon", "all_points_x": [x for x, _ in points], "all_points_y": [y for _, y in points], **more}


def region(shape, **attributes):
    return {"shape_attributes": shape, "region_attributes": attributes}


def make(names=OUTLINES):
    """Return annotations as VIA 2 exports them."""
    return {
        f"{name}4123": {
            "filename": name,
            "size": 4123,
            "regions": [region(polygon(points), **{"class": label}) for label, points in OUTLINES[name]],
            "file_attributes": {},
        }
        for name in names
    }


def write(folder, content, name="via_region_data.json"):
    write_pictures(folder)
    (folder / name).write_text(json.dumps(content))
    return folder


def write_one(folder, *regions, attributes=None, **project):
    """Write a project with one picture, a1.jpg."""
    files = {"a1.jpg1": {"filename": "a1.jpg", "size": 1, "regions": list(regions)}}
    content = {
        "_via_img_metadata": files,
        "_via_settings": project,
        "_via_attributes": {"region": attributes or {}, "file": {}},
    }
    return write(folder, content)


def project_3(**more):
    """Return the same as a project of VIA 3, whose classes are options by number."""
    files = {str(at): {"fid": str(at), "fname": name, "type": 2, "loc": 1, "src": ""} for at, name in enumerate(OUTLINES, 1)}
    rows = [(str(at), label, points) for at, name in enumerate(OUTLINES, 1) for label, points in OUTLINES[name]]
    numbers = {"scratch": "0", "dent": "1"}
    metadata = {
        f"{view}_{at}": {
            "vid": view,
            "flg": 0,
            "z": [],
            "xy": [7, *(value for point in points for value in point)],
            "av": {"1": numbers[label]},
        }
        for at, (view, label, points) in enumerate(rows)
    }
    attribute = {"aname": "class", "anchor_id": "FILE1_Z0_XY1", "type": 4, "options": {"0": "scratch", "1": "dent"}}
    return {
        "project": {"pname": "x", "vid_list": list(files)},
        "config": {"ui": {}},
        "attribute": {"1": attribute},
        "file": files,
        "view": {number: {"fid_list": [number]} for number in files},
        "metadata": metadata,
    } | more


def test_annotations_projects_and_regions_by_number_hold_the_same_objects(tmp_path):
    by_number = {key: one | {"regions": dict(enumerate(one["regions"]))} for key, one in make().items()}
    project = {"_via_settings": {"project": {"name": "x"}}, "_via_img_metadata": make(), "_via_attributes": {}}
    for name, content in (("two", make()), ("one", by_number), ("project", project), ("three", project_3())):
        draft = read_via(write(tmp_path / name, content), ImportOptions())[""]
        assert draft.skipped == [] and list_objects(draft) == TRUTH, name


@pytest.mark.parametrize(
    ("first", "separator"), [("filename", ","), ("#filename", ","), ("filename", ";"), ("#filename", "\t")]
)
def test_a_csv_file_has_a_row_for_each_region(tmp_path, first, separator):
    write_pictures(tmp_path)
    with (tmp_path / "via.csv").open("w", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_MINIMAL, delimiter=separator)
        columns = "file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"
        writer.writerow([first, *columns.split(",")])
        for name, rows in OUTLINES.items():
            for at, (label, points) in enumerate(rows):
                texts = json.dumps(polygon(points)), json.dumps({"class": label})
                writer.writerow([name, 1, "{}", len(rows), at, *texts])
        writer.writerow(["a4.jpg", 1, "{}", 0, 0, "{}", "{}"])
        writer.writerow(["a3.jpg", 1, "{}", 2, 1, "{torn", "{}"])
    write_pictures(tmp_path, ["a4.jpg"])
    assert has_via_csv(tmp_path) and has_via_csv(tmp_path / "via.csv")
    for source in (tmp_path, tmp_path / "via.csv"):
        draft = read_via(source, ImportOptions(class_attribute="class"))[""]
        assert list_objects(draft) == TRUTH and len(draft.pictures) == 4 and draft.count_empty() == 1
        assert [row.row for row in draft.skipped] == ["a3.jpg: line 8"]


def test_the_csv_of_version_3_is_called_by_name_and_others_are_not_taken(tmp_path):
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    assert not has_via_csv(tmp_path)
    (tmp_path / "three.csv").write_text("# Exported using VGG Image Annotator (http://www.robots.ox.ac.uk/~vgg/software/via)\n")
    assert has_via_csv(tmp_path)
    with pytest.raises(SourceError, match="export the project as JSON"):
        read_via(tmp_path, ImportOptions())


def test_a_csv_field_that_is_too_long_is_named_with_its_line(tmp_path):
    header = "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"
    (tmp_path / "via.csv").write_text(f'{header}\na1.jpg,1,{{}},1,0,"{"9" * 140_000}",{{}}\n')
    with pytest.raises(SourceError, match=r"via\.csv: line 1: field larger than .*; export the annotations as JSON"):
        read_via(tmp_path, ImportOptions())


def test_folders_of_splits_give_splits(tmp_path):
    for split, name in (("train", "a1.jpg"), ("val", "a2.jpg")):
        write_pictures(tmp_path / split, [name])
        (tmp_path / split / "via_region_data.json").write_text(json.dumps(make([name])))
    drafts = read_via(tmp_path, ImportOptions())
    assert {split: list_objects(draft) for split, draft in drafts.items()} == {"train": TRUTH[:2], "val": TRUTH[2:4]}


def test_each_kind_of_shape_is_an_outline_a_box_or_left_out_by_name(tmp_path):
    regions = [
        region({"name": "circle", "cx": 50, "cy": 50, "r": 20}, name="x"),
        region({"name": "ellipse", "cx": 80, "cy": 60, "rx": 30, "ry": 10}, name="x"),
        region({"name": "ellipse", "cx": 80, "cy": 60, "rx": 30, "ry": 10, "theta": 1.5707963}, name="x"),
        region({"name": "polyline", "all_points_x": [1, 9, 9, 1], "all_points_y": [1, 1, 9, 1]}, name="x"),
        region({"name": "polyline", "all_points_x": [1, 9, 9], "all_points_y": [1, 1, 9]}, name="x"),
        region({"name": "point", "cx": 1, "cy": 1}, name="x"),
        region({"name": "polygon", "all_points_x": [1, 2], "all_points_y": [1]}, name="x"),
        region({"name": "circle", "cx": 50, "cy": 50}, name="x"),
        region({"name": "rect", "x": 10, "y": 20, "width": 30, "height": 40}, name="x"),
        region(polygon([[1, 1], [9, 1], [9, 9]]), name=""),
        7,
    ]
    source = write_one(tmp_path, *regions)
    draft = read_via(source, ImportOptions())[""]
    assert draft.refused == [f"{tmp_path / 'via_region_data.json'}: a1.jpg: region 8"]
    boxes = [[30, 30, 40, 40], [50, 50, 60, 20], [70, 30, 20, 60], [1, 1, 8, 8]]
    assert [row["bbox"] for row in draft.annotations] == [pytest.approx(box, abs=0.4) for box in boxes]
    reasons = [
        "polyline that does not end",
        "'point' has no area",
        "other numbers of x",
        "r None",
        "no value of the",
        "no value",
    ]
    assert all(said in row.reason for said, row in zip(reasons, draft.skipped, strict=True)), draft.skipped
    draft = read_via(source, ImportOptions(boxes="masks"))[""]
    assert draft.annotations[-1]["bbox"] == [10, 20, 30, 40]


TRIANGLE = polygon([[1, 1], [9, 1], [9, 9]])


def test_the_class_is_the_attribute_that_can_only_be_it_and_others_are_kept(tmp_path):
    regions = [
        region(TRIANGLE, kind="cat", note="old"),
        region(TRIANGLE, kind="dog", size=3),
        region(TRIANGLE, kind={"dog": True}),
    ]
    draft = read_via(write_one(tmp_path, *regions), ImportOptions())[""]
    assert [draft.names[row["category_id"] - 1] for row in draft.annotations] == ["cat", "dog", "dog"]
    assert [row.get("attributes") for row in draft.annotations] == [{"note": "old"}, {"size": "3"}, None]
    assert draft.notes == ["The class is the region attribute (--class-attribute names another): 'kind'"]


@pytest.mark.parametrize(
    ("how", "found"),
    [
        ({}, None),
        ({"options": ImportOptions(class_attribute="colour")}, ["blue", "red"]),
        ({"options": ImportOptions(["cat", "dog"])}, ["cat", "dog"]),
        ({"ui": {"image": {"region_label": "kind"}}}, ["cat", "dog"]),
        ({"attributes": {"colour": {"type": "radio", "options": {}}, "kind": {"type": "text"}}}, ["blue", "red"]),
    ],
)
def test_of_two_attributes_something_has_to_say_which_is_the_class(tmp_path, how, found):
    options = how.pop("options", ImportOptions())
    source = write_one(tmp_path, region(TRIANGLE, kind="cat", colour="red"), region(TRIANGLE, kind="dog", colour="blue"), **how)
    if found:
        assert read_via(source, options)[""].names == found
    else:
        with pytest.raises(SourceError, match=r"kind \(cat, dog\), colour \(blue, red\); name it: --class-attribute kind"):
            read_via(source, options)


def test_options_are_called_by_their_texts_where_they_are_numbers_and_two_at_once_are_no_class(tmp_path):
    attributes = {"kind": {"type": "checkbox", "options": {"1": "cat", "2": "dog"}}}
    regions = [region(TRIANGLE, kind=value) for value in ({"1": True}, "2", {"1": True, "2": True}, {"1": False})]
    draft = read_via(write_one(tmp_path, *regions, attributes=attributes), ImportOptions())[""]
    assert draft.names == ["cat", "dog"] and [row["category_id"] for row in draft.annotations] == [1, 2]
    assert ["cat and dog at once" in draft.skipped[0].reason, "no value" in draft.skipped[1].reason] == [True, True]


def test_regions_without_attributes_need_one_class_for_all(tmp_path):
    source = write_one(tmp_path, region(TRIANGLE))
    assert len(read_via(source, ImportOptions(["leaf"]))[""].annotations) == 1
    for options in (ImportOptions(), ImportOptions(["leaf", "stem"])):
        with pytest.raises(SourceError, match="one class for all: --classes NAME"):
            read_via(source, options)
    with pytest.raises(SourceError, match="no region has the attribute 'kind'"):
        read_via(source, ImportOptions(class_attribute="kind"))


def test_version_3_has_boxes_by_four_points_ticked_options_and_videos(tmp_path):
    attribute = {"1": {"aname": "kind", "type": 2, "options": {"0": "cat", "1": "dog"}}, "2": {"aname": "note", "type": 1}}
    metadata = {
        "a": {"vid": "1", "z": [], "xy": [8, 10, 30, 40, 5, 50, 20, 20, 60], "av": {"1": "1"}},
        "b": {"vid": "1", "z": [], "xy": [3, 50, 50, 10], "av": {"1": "0", "2": "old"}},
        "c": {"vid": "1", "z": [], "xy": [3, 50, 50, 10], "av": {"1": "0,1"}},
        "d": {"vid": "1", "z": [], "xy": [9, 1, 1, 5, 5, 9, 1], "av": {"1": "0"}},
        "e": {"vid": "1", "z": [1.5], "xy": [], "av": {"2": "a moment of a film"}},
    }
    content = project_3(attribute=attribute, metadata=metadata)
    content["file"]["2"]["type"] = 4
    draft = read_via(write(tmp_path, content), ImportOptions(boxes="masks"))[""]
    assert [row["bbox"] for row in draft.annotations] == [[10, 5, 40, 55], pytest.approx([40, 40, 20, 20], abs=0.3)]
    assert draft.names == ["cat", "dog"] and draft.annotations[1]["attributes"] == {"note": "old"}
    said = ["a video", "cat and dog at once", "'extreme circle' has no area"]
    assert all(words in row.reason for words, row in zip(said, draft.skipped, strict=True))


def test_other_files_beside_are_named(tmp_path):
    (write(tmp_path, make()) / "other.json").write_text("[]")
    draft = read_via(tmp_path, ImportOptions())[""]
    assert [row.reason for row in draft.skipped] == ["not a VIA file: it has no regions of pictures"]
    assert list_objects(read_via(tmp_path / "via_region_data.json", ImportOptions())[""]) == TRUTH


def test_regions_of_one_class_and_group_id_are_one_object(tmp_path):
    regions = [region(TRIANGLE, kind=kind, group_id="7") for kind in ("cat", "cat", "dog")]
    regions[1]["shape_attributes"] = polygon([[20, 20], [29, 20], [29, 29]])
    draft = read_via(write_one(tmp_path, *regions), ImportOptions())[""]
    assert [row["bbox"] for row in draft.annotations] == [[1, 1, 28, 28], [1, 1, 8, 8]] and draft.notes == []
