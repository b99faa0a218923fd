"""LabelMe files become COCO: shapes, groups, and what has no area by name."""

import base64
import io
import json

import hotcoco.mask
import numpy as np
import pytest
from PIL import Image

from maskzoo.datasets.coco_reader import pack_annotations
from maskzoo.datasets.importers.builder import ImportOptions
from maskzoo.datasets.importers.labelme import is_labelme, read_labelme
from maskzoo.errors import SourceError


def shape(label, points, kind="polygon", **more):
    return {"label": label, "points": points, "shape_type": kind, "group_id": None, **more}


def write(folder, name, shapes, size=(60, 40), **more):
    folder.mkdir(exist_ok=True)
    Image.fromarray(np.zeros((size[1], size[0], 3), np.uint8)).save(folder / f"{name}.png")
    content = {"shapes": shapes, "imagePath": f"{name}.png", "imageData": "x" * 50}
    content |= {"imageHeight": size[1], "imageWidth": size[0]}
    (folder / f"{name}.json").write_text(json.dumps(content | more))


TRIANGLE = [[5, 5], [25, 5], [25, 25]]


def test_polygons_rectangles_and_circles_become_polygons(tmp_path):
    shapes = [
        shape("leaf", TRIANGLE),
        shape("box", [[10, 30], [4, 20]], "rectangle"),
        shape("leaf", [[40, 20], [50, 20]], "circle"),
    ]
    write(tmp_path, "a", shapes)
    draft = read_labelme(tmp_path, ImportOptions())[""]
    assert draft.skipped == [] and draft.names == ["box", "leaf"]
    leaf, rectangle, circle = draft.annotations
    assert leaf["segmentation"] == [[5, 5, 25, 5, 25, 25]] and leaf["area"] == 200 and leaf["category_id"] == 2
    assert rectangle["bbox"] == [4, 20, 6, 10] and rectangle["area"] == 60
    assert circle["bbox"] == pytest.approx([30, 10, 20, 20], abs=0.3)
    assert circle["area"] == pytest.approx(100 * np.pi, rel=0.02)
    pack_annotations(draft.to_coco(tmp_path), "made")


def test_shapes_of_one_label_and_group_are_one_object(tmp_path):
    shapes = [
        shape("leaf", TRIANGLE, group_id=3),
        shape("leaf", [[30, 30], [35, 30], [35, 35]], group_id=3),
        shape("stem", TRIANGLE, group_id=3),
        shape("leaf", TRIANGLE),
    ]
    write(tmp_path, "a", shapes)
    rows = read_labelme(tmp_path, ImportOptions())[""].annotations
    assert [len(row["segmentation"]) for row in rows] == [2, 1, 1]
    assert rows[0]["bbox"] == [5, 5, 30, 30] and rows[0]["area"] == 212.5


def test_a_mask_shape_is_traced_pixel_by_pixel(tmp_path):
    mask = np.random.default_rng(0).random((9, 7)) < 0.6
    stream = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(stream, "PNG")
    text = base64.b64encode(stream.getvalue()).decode()
    write(tmp_path, "a", [shape("leaf", [[11, 6], [17, 14]], "mask", mask=text)])
    (row,) = read_labelme(tmp_path, ImportOptions())[""].annotations
    found = hotcoco.mask.decode(hotcoco.mask.merge(hotcoco.mask.frPyObjects(row["segmentation"], 40, 60)))
    expected = np.zeros((40, 60), np.uint8)
    expected[6:15, 11:18] = mask
    assert np.array_equal(found, expected) and row["area"] == mask.sum()


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (shape("leaf", [[1, 1], [2, 2]], "line"), "'line' has no area"),
        (shape("leaf", [[1, 1]], "point"), "'point' has no area"),
        (shape("leaf", [[1, 1], [2, 2]]), "2 points"),
        (shape("leaf", [[1, 1], [2, "x"], [3, 3]]), "expected a list of finite"),
        (shape("leaf", [[1, 1], [2, float("nan")], [3, 3]]), "expected a list of finite"),
        (shape("leaf", [[1, 1], [500, 2], [3, 3]]), "not in or near the picture"),
        (shape("leaf", [[61, 41], [70, 41], [70, 50]]), "lies outside"),
        (shape("leaf", [[1, 1], [1, 1]], "circle"), "radius 0"),
        (shape("leaf", [[1, 1], [1e14, 1]], "circle"), "radius 1e+14"),
        (shape("leaf", [[1, 1], [3, 3]], "mask", mask="no base64!"), "mask cannot be read"),
        (shape("leaf", [[1, 1], [3, 3]], "mask"), "mask cannot be read"),
        (shape(None, TRIANGLE), "not one of the classes"),
        (7, "expected a shape with a label"),
        ("leaf", "expected a shape with a label"),
    ],
)
def test_a_shape_that_cannot_be_an_object_is_skipped_with_its_place(tmp_path, bad, said):
    write(tmp_path, "a", [shape("leaf", TRIANGLE), bad])
    draft = read_labelme(tmp_path, ImportOptions())[""]
    assert len(draft.annotations) == 1
    (skipped,) = draft.skipped
    assert skipped.file == str(tmp_path / "a.json") and skipped.row == "shape 1" and said in skipped.reason


def test_classes_given_keep_their_order_and_leave_others_out_by_name(tmp_path):
    write(tmp_path, "a", [shape("leaf", TRIANGLE), shape("stem", TRIANGLE)])
    draft = read_labelme(tmp_path, ImportOptions(["stem", "root"]))[""]
    assert draft.names == ["stem", "root"] and draft.annotations[0]["category_id"] == 1
    assert [row.reason for row in draft.skipped] == ["label 'leaf' is not one of the classes"]


def test_a_picture_of_another_size_is_left_out_and_a_turned_one_is_called_so(tmp_path):
    write(tmp_path, "a", [shape("leaf", TRIANGLE)], imageHeight=60, imageWidth=40)
    write(tmp_path, "b", [shape("leaf", TRIANGLE)], imageHeight=41)
    write(tmp_path, "c", [shape("leaf", TRIANGLE)], imageHeight=None, imageWidth=None)
    draft = read_labelme(tmp_path, ImportOptions())[""]
    assert [path.name for path in draft.pictures] == ["c.png"]
    assert "EXIF" in draft.skipped[0].reason and "60 x 41" in draft.skipped[1].reason


def test_sizes_whose_sides_are_exchanged_are_the_pictures_where_outlines_show_it(tmp_path):
    write(tmp_path, "a", [shape("leaf", TRIANGLE)], imageHeight=60, imageWidth=40)  # fits either
    write(tmp_path, "b", [shape("leaf", [[5, 5], [55, 5], [55, 30]])], imageHeight=60, imageWidth=40)
    draft = read_labelme(tmp_path, ImportOptions())[""]
    assert len(draft.annotations) == 2 and draft.skipped == [] and "exchange the picture's width and height" in draft.notes[0]
    write(tmp_path, "c", [shape("leaf", [[5, 5], [30, 5], [30, 55]])], imageHeight=60, imageWidth=40)
    assert len(read_labelme(tmp_path, ImportOptions())[""].skipped) == 3  # they do not agree


def test_files_without_the_pictures_name_and_labels_with_spaces_are_read(tmp_path):
    write(tmp_path, "a", [shape("leaf ", TRIANGLE), shape("leaf", TRIANGLE)])
    content = json.loads((tmp_path / "a.json").read_text())
    del content["imagePath"]
    (tmp_path / "a.json").write_text(json.dumps(content))
    assert is_labelme(content)
    draft = read_labelme(tmp_path, ImportOptions())[""]
    assert draft.names == ["leaf"] and len(draft.annotations) == 2


def test_paths_of_another_machine_are_found_beside_the_file_and_none_leads_out(tmp_path):
    (tmp_path / "out.png").write_bytes(b"")
    write(tmp_path / "set", "a", [shape("leaf", TRIANGLE)], imagePath="C:\\photos\\a.png")
    write(tmp_path / "set", "b", [shape("leaf", TRIANGLE)], imagePath="../out.png")
    write(tmp_path / "set", "c", [shape("leaf", TRIANGLE)], imagePath=5)
    draft = read_labelme(tmp_path / "set", ImportOptions())[""]
    assert [path.name for path in draft.pictures] == ["a.png"]
    assert [row.file.rsplit("/", 1)[-1] for row in draft.skipped] == ["b.json", "c.json"]
    assert "'../out.png'; expected a picture in the folder" in draft.skipped[0].reason
    assert "found 5; expected the name of a picture" in draft.skipped[1].reason


def test_labels_in_their_own_folder_find_pictures_in_another(tmp_path):
    write(tmp_path / "labels", "a", [shape("leaf", TRIANGLE)], imagePath="..\\photos\\a.png")
    (tmp_path / "photos").mkdir()
    (tmp_path / "labels/a.png").rename(tmp_path / "photos/a.png")
    assert read_labelme(tmp_path, ImportOptions())[""].pictures == [tmp_path / "photos" / "a.png"]


def test_files_that_are_no_labels_are_named_and_nothing_at_all_is_refused(tmp_path):
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "other.json").write_text("[]")
    with pytest.raises(SourceError, match="labelled shape"):
        read_labelme(tmp_path, ImportOptions())
    write(tmp_path, "a", [shape("leaf", TRIANGLE)])
    write(tmp_path, "b", [shape("leaf", TRIANGLE)], imagePath="a.png")
    skipped = read_labelme(tmp_path, ImportOptions())[""].skipped
    assert [row.file.rsplit("/", 1)[-1] for row in skipped] == ["bad.json", "other.json", "b.json"]
    assert "as " + str(tmp_path / "a.json") in skipped[2].reason


def test_x_anylabeling_adds_kinds_of_shapes_and_fields(tmp_path):
    shapes = [
        shape("leaf", [[10, 5], [30, 15], [25, 25], [5, 15]], "rotation", direction=0.3, score=None, kie_linking=[]),
        shape("leaf", [[1, 1], [9, 2], [9, 9], [1, 9]], "quadrilateral", difficult=True, attributes={"age": "old"}),
        shape("leaf", [[1, 1], [9, 1], [9, 9], [1, 9]], "rectangle", score=0.7, flags={"torn": True, "wet": False}),
        shape("leaf", [[1, 1], [9, 2]], "linestrip"),
        shape("leaf", [[x, y] for x in (1, 9) for y in (1, 9)] * 2, "cuboid"),
    ]
    write(tmp_path, "a", shapes, imageHeight=-1, imageWidth=-1)
    draft = read_labelme(tmp_path, ImportOptions())[""]
    assert [row["bbox"] for row in draft.annotations] == [[5, 5, 25, 20], [1, 1, 8, 8], [1, 1, 8, 8]]
    assert [row.get("attributes") for row in draft.annotations] == [
        None,
        {"difficult": True, "age": "old"},
        {"score": 0.7, "flags": {"torn": True}},
    ]
    assert ["'linestrip' has no area" in draft.skipped[0].reason, "'cuboid' has no area" in draft.skipped[1].reason] == [
        True
    ] * 2
    assert any("Rectangles are taken for outlines" in note and "2 of them" in note for note in draft.notes)
    assert len(read_labelme(tmp_path, ImportOptions(boxes="skip"))[""].annotations) == 1
    assert [row["iscrowd"] for row in read_labelme(tmp_path, ImportOptions(boxes="crowds"))[""].annotations] == [1, 0, 1]


def test_pictures_of_old_folders_other_suffixes_or_inside_the_file_are_found_and_told(tmp_path):
    write(tmp_path / "json", "a", [shape("leaf", TRIANGLE)], imagePath="a.bmp", imageData=None)
    write(tmp_path / "json", "b", [shape("leaf", TRIANGLE)], imagePath="IMG_77.jpg", imageData=None)
    (tmp_path / "photos").mkdir()
    for name in "ab":
        (tmp_path / f"json/{name}.png").rename(tmp_path / f"photos/{name}.png")
    write(tmp_path / "json", "c", [shape("leaf", TRIANGLE)])
    inside = base64.b64encode((tmp_path / "json/c.png").read_bytes()).decode()
    write(tmp_path / "json", "c", [shape("leaf", TRIANGLE)], imageData=inside)
    (tmp_path / "json/c.png").unlink()
    draft = read_labelme(tmp_path, ImportOptions(pictures=tmp_path / "out"))[""]
    assert draft.skipped == [] and len(draft.annotations) == 3
    assert draft.pictures == [tmp_path / "photos/a.png", tmp_path / "photos/b.png", tmp_path / "out/json/c.png"]
    assert [note.split(":")[0] for note in draft.notes] == [
        "Pictures found with another suffix than the labels say",
        "Pictures found by the name of the label file",
        f"Pictures that lay inside the labels, written to {tmp_path / 'out'}",
    ]


def test_where_no_picture_is_found_that_is_said_and_not_that_shapes_are_missing(tmp_path):
    write(tmp_path, "a", [shape("leaf", TRIANGLE)], imagePath="gone.jpg", imageData=None)
    (tmp_path / "a.png").unlink()
    draft = read_labelme(tmp_path, ImportOptions())[""]
    assert draft.names == ["leaf"] and ["'gone.jpg'; expected a picture" in row.reason for row in draft.skipped] == [True]
