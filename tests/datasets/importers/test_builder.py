"""What every importer relies on: objects are checked before they are kept, pictures are measured as they are read."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskzoo.datasets.coco_reader import pack_annotations
from maskzoo.datasets.importers.builder import DatasetBuilder, find_pictures, is_within, measure_pictures, read_text
from maskzoo.datasets.rle import measure_runs, rasterize_polygons
from maskzoo.errors import ImageError, SourceError
from maskzoo.progress import say_nothing


def make_draft(size=(1000, 1000)):
    draft = DatasetBuilder(["thing"])
    return draft, draft.add_image(Path("/photos/a.png"), size)


def test_an_object_has_the_box_of_its_polygons_inside_the_picture():
    draft, image = make_draft((20, 30))
    parts = [np.array([-5.0, 2, 10, 2, 10, 12]), np.array([20.1234, 4, 40, 4, 40, 9])]
    draft.add_object(image, 0, parts, (Path("a.txt"), "line 1"))
    (row,) = draft.annotations
    assert draft.skipped == []
    assert row["bbox"] == [0, 2, 30, 10] and row["segmentation"][1][:2] == [20.123, 4]
    pack_annotations(draft.to_coco(Path("/photos")), "made")


@pytest.mark.parametrize(
    ("polygon", "said"),
    [
        ([1, 1, 2, 2], "2 points"),
        ([1, 1, 2, 2, float("nan"), 3], "not in or near"),
        ([1, 1, 2, 2, 2001, 3], "not in or near"),
        ([1001, 1, 1002, 2, 1001, 3], "lies outside"),
        ([1, 1, 9, 9, 5, 5], "no area"),
        ([0, 0, 1000, 1] * 1100, "outline of more than 2,000,000 pixels"),
    ],
)
def test_an_outline_that_no_mask_code_should_see_is_refused(polygon, said):
    draft, image = make_draft()
    draft.add_object(image, 0, [np.array(polygon, np.float64)], (Path("a.txt"), "line 3"))
    (skipped,) = draft.skipped
    assert (skipped.file, skipped.row) == ("a.txt", "line 3") and said in skipped.reason
    assert draft.annotations == [] and draft.count_empty() == 1


def test_pictures_are_measured_in_order_and_bad_ones_give_their_error(tmp_path):
    for name, width in (("b.png", 5), ("a.jpg", 9)):
        Image.fromarray(np.zeros((4, width, 3), np.uint8)).save(tmp_path / name)
    (tmp_path / "c.png").write_bytes(b"no picture")
    (tmp_path / "notes.txt").write_text("")
    pictures = find_pictures(tmp_path)
    events = []
    found = list(measure_pictures(pictures, events.append))
    assert [path.name for path, _ in found] == ["a.jpg", "b.png", "c.png"]
    assert [size for _, size in found[:2]] == [(4, 9), (4, 5)] and isinstance(found[2][1], ImageError)
    assert [(event.done, event.total) for event in events] == [(1, 3), (2, 3), (3, 3)]
    draft, _ = make_draft()
    assert [size for _, size in draft.measure(pictures, say_nothing)] == [(4, 9), (4, 5)]
    (skipped,) = draft.skipped
    assert skipped.file == str(tmp_path / "c.png") and "not an image that maskzoo reads" in skipped.reason
    assert not skipped.reason.startswith(skipped.file)


def test_a_file_that_is_no_text_is_refused_with_its_name(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\x00")
    for name in ("a.txt", "gone.txt"):
        with pytest.raises(SourceError, match=f"{name}: cannot be read as text"):
            read_text(tmp_path / name)


def test_a_path_is_within_a_folder_by_where_it_leads():
    assert is_within(Path("a/b/../c.png"), [Path("a")])
    assert not is_within(Path("a/../b/c.png"), [Path("a")])
    assert not is_within(Path("ab/c.png"), [Path("a")])


def test_a_mask_becomes_polygons_of_exactly_its_pixels_and_keeps_what_is_said_about_the_object():
    draft, image = make_draft((40, 50))
    mask = np.zeros((6, 8), np.uint8)
    mask[1:5, 2:7] = 9
    mask[2, 3] = 0
    draft.add_mask(image, 0, mask, (Path("a.png"), "object 9"), start=(10, 20), attributes={"worn": True})
    draft.add_mask(image, 0, mask * 0, (Path("a.png"), "object 10"))
    (row,) = draft.annotations
    packed = pack_annotations(draft.to_coco(Path("/photos")), "made")
    found = rasterize_polygons(packed.outline(0), (40, 50))
    assert (found[20:26, 10:18] == (mask > 0)).all() and found.sum() == row["area"] == 19
    assert row["bbox"] == [12, 21, 5, 4] and row["attributes"] == {"worn": True}
    assert [str(row) for row in draft.skipped] == ["a.png: object 10: its mask is empty"]


@pytest.mark.parametrize("boxes", [None, "skip", "masks", "crowds"])
def test_a_box_without_an_outline_becomes_what_was_asked_for(boxes):
    draft, image = make_draft((40, 50))
    draft.boxes = boxes
    draft.add_box(image, 0, np.array([10.0, 5, 30, 15]), (Path("a.xml"), "object 0"))
    rows = draft.annotations
    assert draft.refused == (["a.xml: object 0"] if boxes is None else [])
    assert [row.reason for row in draft.skipped] == (["a box without an outline"] if boxes == "skip" else [])
    assert [row["iscrowd"] for row in rows] == {"masks": [0], "crowds": [1]}.get(boxes, [])
    if rows:
        packed = pack_annotations(draft.to_coco(Path("/photos")), "made")
        runs = [packed.outline(0)] if boxes == "crowds" else []
        assert packed.bbox[0].tolist() == [10, 5, 20, 10] and measure_runs(runs, [40 * 50] * len(runs))[0].tolist() in (
            [],
            [200],
        )
