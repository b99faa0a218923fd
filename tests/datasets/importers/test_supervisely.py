"""Supervisely's projects become COCO: polygons with holes, bitmaps, rectangles, tags; what has no area is named."""

import base64
import io
import json
import zlib

import numpy as np
import pytest
from PIL import Image

import maskzoo
from five_objects import HEIGHT, OUTLINES, TRUTH, WIDTH, list_objects, write_pictures
from maskzoo.datasets.importers.builder import ImportOptions
from maskzoo.datasets.importers.formats import choose_format
from maskzoo.datasets.importers.supervisely import read_supervisely
from maskzoo.datasets.rle import rasterize_polygons
from maskzoo.errors import SourceError


def make_figure(title, kind="polygon", exterior=(), interior=(), **more):
    points = {"exterior": [list(point) for point in exterior], "interior": [[list(p) for p in hole] for hole in interior]}
    return {
        "id": 1,
        "classId": 7,
        "labelerLogin": "anna",
        "createdAt": "2026-01-01T00:00:00.000Z",
        "geometryType": kind,
        "classTitle": title,
        "tags": [],
        "points": points,
    } | more


def write_annotation(folder, name, figures, size=(HEIGHT, WIDTH)):
    (folder / "ann").mkdir(parents=True, exist_ok=True)
    content = {"description": "", "tags": [], "size": {"height": size[0], "width": size[1]}, "objects": figures}
    (folder / "ann" / f"{name}.json").write_text(json.dumps(content))


@pytest.fixture
def project(tmp_path):
    """A project as Supervisely exports it, with one dataset."""
    classes = [{"title": name, "shape": "polygon", "color": "#112233", "hotkey": ""} for name in ("scratch", "dent", "unused")]
    (tmp_path / "meta.json").write_text(json.dumps({"classes": classes, "tags": [], "projectType": "images"}))
    (tmp_path / "obj_class_to_machine_color.json").write_text('{"scratch": [1, 1, 1]}')
    write_pictures(tmp_path / "ds1" / "img")
    for name, objects in OUTLINES.items():
        write_annotation(tmp_path / "ds1", name, [make_figure(label, exterior=points) for label, points in objects])
    return tmp_path


def read(project, **options):
    (draft,) = read_supervisely(project, ImportOptions(**options)).values()
    return draft


def test_the_five_objects_are_read_with_the_classes_of_meta_json_in_its_order(project):
    assert choose_format(project) == "supervisely"
    draft = read(project)
    assert draft.names == ["scratch", "dent", "unused"] and draft.skipped == [] and list_objects(draft) == TRUTH


def test_a_single_dataset_and_a_single_file_are_recognised_too(project):
    assert choose_format(project / "ds1") == choose_format(project / "ds1/ann/a1.jpg.json") == "supervisely"
    assert list_objects(read(project / "ds1")) == TRUTH
    assert list_objects(read(project / "ds1/ann/a1.jpg.json")) == TRUTH[:2]


def test_datasets_of_the_same_picture_names_do_not_mix(project):
    write_pictures(project / "ds2" / "img", ["a1.jpg"], size=(40, 30))
    write_annotation(project / "ds2", "a1.jpg", [make_figure("dent", exterior=[[0, 0], [9, 0], [9, 9]])], (30, 40))
    draft = read(project)
    assert draft.skipped == [] and len(draft.pictures) == 4 and draft.sizes[-1] == (30, 40)


def test_datasets_named_by_a_split_are_splits(project):
    (project / "ds1").rename(project / "train")
    write_pictures(project / "val" / "img", ["b.jpg"])
    write_annotation(project / "val", "b.jpg", [make_figure("dent", exterior=[[0, 0], [9, 0], [9, 9]])])
    drafts = read_supervisely(project, ImportOptions())
    assert {split: len(draft.annotations) for split, draft in drafts.items()} == {"train": 5, "val": 1}


def test_holes_are_no_part_of_the_object(project):
    outer, inner = [[10, 10], [90, 10], [90, 90], [10, 90]], [[30, 30], [60, 30], [60, 50], [30, 50]]
    for hole in (inner, inner[::-1]):
        second = [[70, 70], [80, 70], [80, 80]]
        write_annotation(project / "ds1", "a1.jpg", [make_figure("dent", exterior=outer, interior=[hole, second])])
        row = read(project).annotations[0]
        size = (HEIGHT, WIDTH)
        solid, holes = (rasterize_polygons([np.ravel(one)], size) for one in (outer, hole))
        expected = solid & ~holes & ~rasterize_polygons([np.ravel(second)], size) & 1
        assert row["area"] == 80 * 80 - 30 * 20 - 50
        assert (rasterize_polygons(row["segmentation"], size) == expected).all()


def encode(mask, mode="1"):
    image = Image.fromarray(mask * np.uint8(255))
    options = {}
    if mode == "RGBA":  # one colour everywhere: the alpha channel is the mask
        image = Image.merge("RGBA", [Image.new("L", image.size, 255)] * 3 + [image])
    elif mode == "P":  # as Supervisely's SDK writes it: place 0 is transparent
        image = Image.fromarray(mask).convert("P")
        image.putpalette([255, 255, 255, 255, 255, 255])
        options = {"transparency": 0}
    else:
        image = image.convert(mode)
    stream = io.BytesIO()
    image.save(stream, "PNG", **options)
    return stream.getvalue()


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA"])
def test_bitmaps_are_exact(project, mode):
    mask = np.zeros((30, 50), np.uint8)
    mask[2:20, 5:40] = 1
    mask[6:10, 10:20] = 0
    data = base64.b64encode(zlib.compress(encode(mask, mode))).decode()
    figure = make_figure("dent", "bitmap", bitmap={"data": data, "origin": [60, 40]})
    write_annotation(project / "ds1", "a1.jpg", [figure])
    row = read(project).annotations[0]
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[40:70, 60:110] = mask
    assert (rasterize_polygons(row["segmentation"], (HEIGHT, WIDTH)) == expected).all() and row["area"] == mask.sum()


@pytest.mark.parametrize(
    "data", ["no base64!", base64.b64encode(b"rubbish").decode(), None, base64.b64encode(b"\x89PNG").decode()]
)
def test_a_damaged_bitmap_is_named(project, data):
    figure = make_figure("dent", "bitmap", bitmap={"data": data, "origin": [60, 40]})
    write_annotation(project / "ds1", "a1.jpg", [figure])
    (skipped,) = read(project).skipped
    assert skipped.row == "object 0" and ("cannot be read" in skipped.reason or "base64" in skipped.reason)


def test_a_bitmap_larger_than_its_picture_is_not_unpacked(project):
    data = base64.b64encode(zlib.compress(encode(np.ones((HEIGHT + 1, WIDTH), np.uint8)))).decode()
    write_annotation(project / "ds1", "a1.jpg", [make_figure("dent", "bitmap", bitmap={"data": data, "origin": [0, 0]})])
    assert "160 x 121 pixels; the picture has 160 x 120" in read(project).skipped[0].reason


def test_rectangles_are_boxes(project):
    write_annotation(project / "ds1", "a1.jpg", [make_figure("dent", "rectangle", [[10, 20], [40, 60]])])
    with pytest.raises(SourceError, match=r"a1\.jpg\.json: object 0: a box without an outline"):
        maskzoo.convert_dataset(project, project / "out.json")
    row = read(project, boxes="masks").annotations[0]
    assert row["bbox"] == [10, 20, 30, 40] and row["area"] == 1200


@pytest.mark.parametrize("kind", ["line", "point", "graph", "cuboid"])
def test_figures_without_an_area_are_named(project, kind):
    write_annotation(project / "ds1", "a1.jpg", [make_figure("dent", kind, [[1, 2], [3, 4]])])
    (skipped,) = read(project).skipped
    assert f"a figure of the kind {kind!r} has no area" in skipped.reason


def test_tags_become_attributes_and_figures_of_an_instance_one_object(project):
    tags = [
        {"name": "old", "value": None},
        {"name": "depth", "value": 3},
        {"name": "by", "value": "a"},
        {"name": "by", "value": "b"},
    ]
    first = make_figure("dent", exterior=[[0, 0], [9, 0], [9, 9]], tags=tags, instance="k1")
    second = make_figure("dent", exterior=[[20, 0], [29, 0], [29, 9]], instance="k1", description="two parts")
    write_annotation(project / "ds1", "a1.jpg", [first, second])
    row = read(project).annotations[0]
    assert len(row["segmentation"]) == 2 and row["bbox"] == [0, 0, 29, 9]
    assert row["attributes"] == {"old": True, "depth": 3, "by": ["a", "b"], "description": "two parts"}


def test_labels_of_videos_and_missing_pictures_are_named(project):
    (project / "ds1/ann/film.mp4.json").write_text(json.dumps({"size": {}, "frames": [], "objects": 3}))
    (project / "ds1/img/a3.jpg").unlink()
    reasons = [row.reason for row in read(project).skipped]
    assert any("labels of a video" in reason for reason in reasons) and any("a3.jpg" in reason for reason in reasons)
