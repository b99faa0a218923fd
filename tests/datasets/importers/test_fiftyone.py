"""FiftyOne's own export becomes COCO: masks over their boxes, polylines, splits by tags; fields are never guessed between."""

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
from maskzoo.datasets.importers.fiftyone import read_fiftyone
from maskzoo.datasets.importers.formats import choose_format
from maskzoo.datasets.rle import rasterize_polygons
from maskzoo.errors import SourceError

SIZE = (HEIGHT, WIDTH)


def make_polyline(label, points, **more):
    parts = [[x / WIDTH, y / HEIGHT] for x, y in points]
    return {"_id": {"$oid": "65"}, "_cls": "Polyline", "label": label, "points": [parts], "closed": True, "filled": True} | more


def make_detection(label, box, **more):
    x, y, width, height = box
    parts = [x / WIDTH, y / HEIGHT, width / WIDTH, height / HEIGHT]
    return {
        "_id": {"$oid": "65"},
        "_cls": "Detection",
        "attributes": {},
        "tags": [],
        "label": label,
        "bounding_box": parts,
    } | more


def encode(mask):
    stream = io.BytesIO()
    np.save(stream, mask)
    return base64.b64encode(zlib.compress(stream.getvalue())).decode()


def write(folder, labels, kind="Detections", **more):
    """Write samples with a field of labels each, by picture."""
    metadata = {"_cls": "ImageMetadata", "width": WIDTH, "height": HEIGHT}
    samples = [
        {
            "_id": {"$oid": "64"},
            "filepath": f"data/{name}",
            "tags": [],
            "metadata": metadata,
            "_media_type": "image",
            "ground_truth": {"_cls": kind, kind.lower(): rows},
        }
        | more.get(name[:2], {})
        for name, rows in labels.items()
    ]
    (folder / "samples.json").write_text(json.dumps({"samples": samples}))
    (folder / "metadata.json").write_text(json.dumps({"name": "set", "version": "0.24", "media_type": "image"}))
    return folder


def make_labels():
    return {name: [make_polyline(label, points) for label, points in rows] for name, rows in OUTLINES.items()}


@pytest.fixture
def source(tmp_path):
    write_pictures(tmp_path / "data")
    return write(tmp_path, make_labels(), "Polylines")


def read(source, **options):
    (draft,) = read_fiftyone(source, ImportOptions(**options)).values()
    return draft


def read_first(source, *rows, **options):
    draft = read(write(source, {"a1.jpg": list(rows)}), **options)
    return draft.annotations, draft


def test_the_five_objects_are_read(source):
    assert choose_format(source) == choose_format(source / "samples.json") == "fiftyone"
    draft = read(source)
    assert draft.skipped == [] and draft.notes == []
    found = [(name, label, pytest.approx(box, abs=0.01)) for name, label, box in list_objects(draft)]
    assert found == TRUTH


@pytest.mark.parametrize(
    "wrap", [lambda text: {"$binary": {"base64": text, "subType": "00"}}, lambda text: {"$binary": text}, str]
)
def test_masks_cover_their_boxes_exactly(source, wrap):
    mask = np.zeros((30, 50), bool)
    mask[2:20, 5:40] = True
    mask[6:10, 10:20] = False
    (row,), _ = read_first(source, make_detection("dent", [60, 40, 50, 30], mask=wrap(encode(mask)), depth=3, iscrowd=0))
    expected = np.zeros(SIZE, bool)
    expected[40:70, 60:110] = mask
    assert (rasterize_polygons(row["segmentation"], SIZE) == expected).all() and row["area"] == mask.sum()
    assert row["attributes"] == {"depth": 3} and row["iscrowd"] == 0


def test_a_mask_of_another_size_is_stretched_over_its_box(source):
    mask = np.ones((10, 10), np.uint8)
    (row,), _ = read_first(source, make_detection("dent", [60, 40, 50, 30], mask={"$binary": {"base64": encode(mask)}}))
    assert row["bbox"] == [60, 40, 50, 30] and row["area"] == 1500


def test_a_mask_may_be_a_picture(source):
    mask = np.zeros((30, 50), np.uint8)
    mask[5:25, 5:45] = 255
    (source / "fields").mkdir()
    Image.fromarray(mask).save(source / "fields" / "m.png")
    (row,), _ = read_first(source, make_detection("dent", [60, 40, 50, 30], mask_path="fields/m.png"))
    assert row["bbox"] == [65, 45, 40, 20]
    for wrong in ("../m.png", "fields/gone.png"):
        rows, draft = read_first(source, make_detection("dent", [60, 40, 50, 30], mask_path=wrong))
        assert rows == [] and "m" in draft.skipped[0].reason


def test_detections_without_a_mask_are_boxes(source):
    write(source, {"a1.jpg": [make_detection("dent", [60, 40, 50, 30])]})
    with pytest.raises(SourceError, match="a box without an outline"):
        maskzoo.convert_dataset(source, source / "out.json")
    (row,), _ = read_first(source, make_detection("dent", [60, 40, 50, 30]), boxes="masks")
    assert row["bbox"] == pytest.approx([60, 40, 50, 30])


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (make_polyline("dent", [[0, 0], [9, 9], [9, 0]], closed=False, filled=False), "neither closed nor filled"),
        (make_polyline("dent", [[0, 0], [9, 9]]), "2 points"),
        (make_detection("dent", [0, 0, 9, 9], mask="rubbish!"), "base64"),
        (make_detection("dent", [0, 0, 9, 9], mask=base64.b64encode(b"rubbish").decode()), "cannot be read"),
        (make_detection("dent", [0, 0, 9, 9], mask=encode(np.ones((3, 3, 3)))), "rows and columns"),
        (make_detection("dent", [0, 0, 9, 9], mask=encode(np.zeros((9, 9)))), "empty"),
        (make_detection("dent", [0, 0, 9e9, 9], mask=encode(np.ones((9, 9)))), "expected a part of the picture"),
        (make_detection("dent", [0, 0, 9, 9], bounding_box=[0, 0, "a", 1]), "expected x y width height"),
    ],
)
def test_what_is_no_object_is_named(source, row, said):
    rows, draft = read_first(source, row)
    assert rows == [] and said in draft.skipped[0].reason


def test_tags_that_say_a_split_are_splits(source):
    splits = {"a1": {"tags": ["train"]}, "a2": {"tags": ["train", "checked"]}, "a3": {"tags": ["validation"]}}
    drafts = read_fiftyone(write(source, make_labels(), "Polylines", **splits), ImportOptions())
    assert {split: len(draft.annotations) for split, draft in drafts.items()} == {"train": 4, "val": 1}
    del splits["a3"]
    assert list(read_fiftyone(write(source, make_labels(), "Polylines", **splits), ImportOptions())) == [""]


def test_several_fields_are_not_guessed_between_but_the_true_one_is_taken(source):
    other = {"predictions": {"_cls": "Detections", "detections": []}}
    draft = read(write(source, make_labels(), "Polylines", a1=other))
    assert len(draft.annotations) == 5 and "predictions" in draft.notes[0]
    content = json.loads((source / "samples.json").read_text().replace("ground_truth", "people"))
    (source / "samples.json").write_text(json.dumps(content))
    with pytest.raises(SourceError, match=r"people \(Polylines\).*predictions \(Detections\).*export that field alone"):
        read(source)
    only = {"samples": [{"filepath": "data/a1.jpg", "mask": {"_cls": "Segmentation"}}]}
    (source / "samples.json").write_text(json.dumps(only))
    with pytest.raises(SourceError, match=r"the fields of labels are mask \(Segmentation\); expected one with Detections"):
        read(source)
