"""Datumaro's JSON becomes COCO: polygons, masks, boxes, groups and attributes; what has no area is named."""

import contextlib
import json

import numpy as np
import pytest

import maskzoo
from coco_files import encode
from five_objects import HEIGHT, OUTLINES, TRUTH, WIDTH, list_objects, write_pictures
from maskzoo.datasets.importers.builder import ImportOptions
from maskzoo.datasets.importers.datumaro import read_datumaro
from maskzoo.datasets.importers.formats import choose_format
from maskzoo.datasets.rle import rasterize_polygons
from maskzoo.errors import SourceError

NAMES = ["scratch", "dent"]
SIZE = (HEIGHT, WIDTH)


def make_shape(kind, label=0, **more):
    return {"id": 0, "type": kind, "attributes": {}, "group": 0, "label_id": label, "z_order": 0} | more


def make_items():
    return {
        name: [make_shape("polygon", NAMES.index(label), points=np.ravel(points).tolist()) for label, points in objects]
        for name, objects in OUTLINES.items()
    }


def write(folder, items, subset="default", names=NAMES):
    labels = {"label": {"labels": [{"name": name, "parent": "", "attributes": []} for name in names], "attributes": []}}
    rows = [
        {"id": name[:-4], "annotations": shapes, "attr": {"frame": 0}, "image": {"path": name, "size": list(SIZE)}}
        for name, shapes in items.items()
    ]
    (folder / "annotations").mkdir(parents=True, exist_ok=True)
    content = {"dm_format_version": "1.0", "infos": {}, "categories": labels, "items": rows}
    (folder / "annotations" / f"{subset}.json").write_text(json.dumps(content))
    return folder


@pytest.fixture
def source(tmp_path):
    write_pictures(tmp_path / "images" / "default")
    return write(tmp_path, make_items())


def read(source, **options):
    (draft,) = read_datumaro(source, ImportOptions(**options)).values()
    return draft


def read_first(source, *shapes, **options):
    draft = read(write(source, make_items() | {"a1.jpg": list(shapes)}), **options)
    return [row for row in draft.annotations if row["image_id"] == 1], draft


def test_the_five_objects_are_read_with_the_labels_in_the_files_order(source):
    assert choose_format(source) == choose_format(source / "annotations/default.json") == "datumaro"
    for place in (source, source / "annotations", source / "annotations/default.json"):
        draft = read(place)
        assert draft.names == NAMES and draft.skipped == [] and list_objects(draft) == TRUTH


def test_subsets_are_splits_by_their_files_names_and_their_labels_are_joined(tmp_path):
    items = make_items()
    for subset, names in {"train": ["a1.jpg", "a2.jpg"], "validation": ["a3.jpg"]}.items():
        write_pictures(tmp_path / "images" / subset, names)
        own = NAMES if subset == "train" else ["other", "scratch"]
        rows = {name: [shape | {"label_id": own.index(NAMES[shape["label_id"]])} for shape in items[name]] for name in names}
        write(tmp_path, rows, subset, own)
    drafts = read_datumaro(tmp_path, ImportOptions())
    assert list(drafts) == ["train", "val"] and drafts["val"].names == ["scratch", "dent", "other"]
    assert [one for draft in drafts.values() for one in list_objects(draft)] == TRUTH


def test_pictures_of_the_same_name_in_two_subsets_do_not_mix(tmp_path):
    for subset in ("one", "two"):
        write_pictures(tmp_path / "images" / subset, ["a1.jpg"])
        write(tmp_path, {"a1.jpg": make_items()["a1.jpg"]}, subset)
    draft = read(tmp_path)
    assert [path.parent.name for path in draft.pictures] == ["one", "two"] and draft.skipped == []


def test_masks_are_exact_and_other_run_lengths_are_named(source):
    polygons = [[20, 20, 70, 25, 60, 80, 25, 70], [100, 20, 150, 60, 105, 70]]
    rle = encode(polygons, {"height": HEIGHT, "width": WIDTH})
    (row,), draft = read_first(source, make_shape("mask", 1, rle=rle))
    expected = rasterize_polygons(polygons, SIZE)
    assert (rasterize_polygons(row["segmentation"], SIZE) == expected).all() and row["area"] == expected.sum()
    for wrong, said in [
        (rle | {"size": [10, 10]}, "[10, 10]; expected run lengths"),
        (rle | {"counts": "abc"}, "damaged"),
        (rle | {"counts": ""}, "damaged"),
        (None, "its mask"),
    ]:
        rows, draft = read_first(source, make_shape("mask", 1, rle=wrong))
        assert rows == [] and said in draft.skipped[0].reason and draft.skipped[0].row == "item a1: annotation 0"


def test_boxes_are_what_the_option_says(source):
    write(source, make_items() | {"a1.jpg": [make_shape("bbox", bbox=[10, 20, 30, 40])]})
    with pytest.raises(SourceError, match="a box without an outline"):
        maskzoo.convert_dataset(source, source / "out.json")
    (row,), _ = read_first(source, make_shape("bbox", bbox=[10, 20, 30, 40]), boxes="masks")
    assert row["bbox"] == [10, 20, 30, 40]
    (row,), _ = read_first(source, make_shape("rotated_bbox", bbox=[50, 50, 40, 20, 90]), boxes="masks")
    assert row["bbox"] == [40, 30, 20, 40]


def test_shapes_of_a_group_are_one_object_and_its_box_says_nothing_more(source):
    shapes = [
        make_shape("bbox", group=5, bbox=[0, 0, 50, 10]),
        make_shape("polygon", group=5, points=[0, 0, 10, 0, 10, 10]),
        make_shape("polygon", group=5, points=[40, 0, 50, 0, 50, 10]),
        make_shape("polygon", 1, group=5, points=[60, 0, 70, 0, 70, 10]),
    ]
    (first, second), draft = read_first(source, *shapes)
    assert len(first["segmentation"]) == 2 and first["bbox"] == [0, 0, 50, 10] and first["area"] == 100
    assert second["category_id"] == 2 and draft.refused == [] and draft.skipped == []


def test_attributes_are_kept_and_crowds_stay_crowds(source):
    points = [0, 0, 10, 0, 10, 10]
    shape = make_shape("polygon", points=points, attributes={"occluded": False, "depth": "deep", "track_id": 4})
    crowd = make_shape("polygon", points=points, attributes={"is_crowd": True})
    (row, second), _ = read_first(source, shape, crowd)
    assert row["attributes"] == {"depth": "deep", "track_id": 4} and row["iscrowd"] == 0 and second["iscrowd"] == 1


def test_an_ellipse_is_round(source):
    (row,), _ = read_first(source, make_shape("ellipse", points=[10, 20, 50, 40]))
    assert row["bbox"] == pytest.approx([10, 20, 40, 20], abs=0.2) and row["area"] == pytest.approx(np.pi * 200, rel=0.02)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        (make_shape("polyline", points=[0, 0, 9, 9]), "'polyline' has no area"),
        (make_shape("points", points=[0, 0]), "'points' has no area"),
        (make_shape("skeleton", elements=[]), "'skeleton' has no area"),
        (make_shape("polygon", points=[0, 0, 9, 9]), "expected x y of 3 points"),
        (make_shape("polygon", points=[0, 0, 9, 9, 9, "a"]), "expected a list of finite"),
        (make_shape("polygon", 7, points=[0, 0, 9, 0, 9, 9]), "label_id is 7; expected a place in the list of 2 labels"),
        (make_shape("polygon", None, points=[0, 0, 9, 0, 9, 9]), "label_id is None"),
        (make_shape("bbox", bbox=[1, 2, 3]), "expected 4 numbers"),
    ],
)
def test_what_is_no_object_is_named(source, shape, said):
    rows, draft = read_first(source, shape)
    assert rows == [] and said in draft.skipped[0].reason


def test_labels_of_whole_pictures_are_told(source):
    rows, draft = read_first(source, {"id": 0, "type": "label", "label_id": 1, "group": 0})
    assert rows == [] and draft.skipped == [] and "Labels of whole pictures" in draft.notes[0]


def test_items_without_a_path_are_found_by_their_id(source):
    file = source / "annotations/default.json"
    content = json.loads(file.read_text())
    for item in content["items"]:
        del item["image"]
    file.write_text(json.dumps(content))
    assert list_objects(read(source)) == TRUTH


@pytest.mark.parametrize("odd", [None, 0, -1, 1e308, 2**70, "", "x", [], {}, [[]], [None], True])
def test_odd_values_are_named_and_never_end_in_a_traceback(source, odd):
    file = source / "annotations/default.json"
    content = json.loads(file.read_text())
    content["items"][0]["annotations"] += [make_shape("mask", rle=encode([[0, 0, 9, 0, 9, 9]], {"height": 120, "width": 160}))]
    before = json.dumps(content)
    places = [
        "items",
        "categories",
        "label",
        "labels",
        "annotations",
        "type",
        "label_id",
        "group",
        "points",
        "rle",
        "counts",
        "size",
    ]
    for place in [*places, "attributes", "image", "path", "id", "name"]:
        content = json.loads(before)
        replace_first(content, place, odd)
        file.write_text(json.dumps(content))
        with contextlib.suppress(maskzoo.MaskzooError):
            read_datumaro(source, ImportOptions(boxes="masks"))


def replace_first(content, name, value):
    """Replace the first value of a name, however deep."""
    if isinstance(content, dict) and name in content:
        content[name] = value
        return True
    inner = content.values() if isinstance(content, dict) else content if isinstance(content, list) else []
    return any(replace_first(one, name, value) for one in inner)


def test_a_set_without_an_item_says_so(source):
    write(source, {})
    with pytest.raises(SourceError, match="no Datumaro file in it is about a picture"):
        read_datumaro(source, ImportOptions())
