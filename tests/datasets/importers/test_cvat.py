"""CVAT's XML becomes objects: of images and of the frames of a video, every shape that has an area."""

import numpy as np
import pytest
from PIL import Image

from maskzoo.datasets.coco_reader import pack_annotations
from maskzoo.datasets.importers.builder import ImportOptions
from maskzoo.datasets.importers.cvat import is_cvat, read_cvat
from maskzoo.datasets.rle import rasterize_polygons
from maskzoo.errors import SourceError

META = """<meta><task><id>7</id><name>parts</name><size>3</size><mode>annotation</mode><labels>
<label><name>scratch</name><color>#fa3253</color><type>any</type><attributes></attributes></label>
<label><name>dent</name><color>#33ddff</color><type>polygon</type><attributes></attributes></label>
<label><name>background</name></label><label><name>tip</name><type>points</type></label>
<label><name>knee</name><parent>skeleton</parent></label></labels></task></meta>"""


def draw(folder, *names, size=(120, 160)):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((*size, 3), np.uint8)).save(folder / name)


def write(folder, body, name="annotations.xml"):
    text = f'<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version>{META}{body}</annotations>'
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return folder


def write_image(folder, shapes, name="a1.jpg", more=""):
    draw(folder, f"images/{name}")
    return write(folder, f'<image id="0" name="{name}" width="160" height="120" {more}>{shapes}</image>')


POLYGON = '<polygon label="{}" source="manual" occluded="0" points="{}" z_order="0">{}</polygon>'
SQUARE = "90.00,30.00;140.00,30.00;140.00,90.00;90.00,90.00"


def rasterize(draft, place=0):
    packed = pack_annotations(draft.to_coco(draft.pictures[0].parent), "made")
    return rasterize_polygons(packed.outline(place), draft.sizes[0])


def test_polygons_become_objects_with_what_is_said_about_them(tmp_path):
    worn = '<attribute name="worn">true</attribute><attribute name="depth">2 mm</attribute>'
    shapes = POLYGON.format("dent", SQUARE, worn) + POLYGON.format("scratch", "1,1;9,1;9,9", "").replace(
        'occluded="0"', 'occluded="1"'
    )
    source = write_image(tmp_path, shapes)
    assert is_cvat(source) and is_cvat(source / "annotations.xml")
    (draft,) = read_cvat(source, ImportOptions()).values()
    assert list(draft.names) == ["scratch", "dent"] and draft.skipped == [] and draft.notes == []
    dent, scratch = draft.annotations
    assert (dent["category_id"], dent["bbox"], dent["attributes"]) == (2, [90, 30, 50, 60], {"worn": True, "depth": "2 mm"})
    assert (scratch["category_id"], scratch["attributes"]) == (1, {"occluded": True})


def test_a_mask_is_runs_of_its_rows_in_its_box(tmp_path):
    mask = np.zeros((4, 6), np.uint8)
    mask[0, 2:] = mask[1:3] = mask[3, 0] = 1
    mask[1, 3] = 0
    flat = mask.ravel()
    ends = np.flatnonzero(np.diff(flat, prepend=0, append=2))
    runs = ", ".join(map(str, np.diff(ends, prepend=0)))
    shape = (
        f'<mask label="dent" source="manual" occluded="0" rle="{runs}" left="30" top="40" width="6" height="4" z_order="0"/>'
    )
    (draft,) = read_cvat(write_image(tmp_path, shape), ImportOptions()).values()
    found = rasterize(draft)
    assert draft.skipped == [] and np.array_equal(found[40:44, 30:36], mask) and found.sum() == mask.sum()


def test_ellipses_and_boxes_are_turned_clockwise_about_their_middle(tmp_path):
    shapes = """<ellipse label="dent" cx="80" cy="60" rx="40" ry="10" rotation="90" z_order="0"/>
    <box label="scratch" xtl="40" ytl="50" xbr="60" ybr="60" rotation="30" z_order="0"/>
    <box label="scratch" xtl="40" ytl="50" xbr="60" ybr="60" z_order="0"/>"""
    source = write_image(tmp_path, shapes)
    (draft,) = read_cvat(source, ImportOptions(boxes="masks")).values()
    ellipse, turned, box = draft.annotations
    assert ellipse["bbox"] == pytest.approx([70, 20, 20, 80], abs=0.2) and ellipse["area"] == pytest.approx(
        np.pi * 400, rel=0.01
    )
    corners = np.array(turned["segmentation"][0]).reshape(-1, 2)
    assert corners.mean(axis=0).tolist() == pytest.approx([50, 55], abs=0.01)
    assert (corners[1] - corners[0]).tolist() == pytest.approx([20 * np.cos(np.pi / 6), 10], abs=0.01)  # down to the right
    assert box["bbox"] == [40, 50, 20, 10]
    assert len(read_cvat(source, ImportOptions())[""].refused) == 2


def test_shapes_of_a_group_and_label_are_one_object_without_the_box_around_it(tmp_path):
    shapes = (
        POLYGON.format("dent", "1,1;9,1;9,9", "").replace("z_order", 'group_id="3" z_order')
        + '<box label="dent" xtl="1" ytl="1" xbr="40" ybr="40" group_id="3"/>'
        + POLYGON.format("dent", "21,21;29,21;29,29", "").replace("z_order", 'group_id="3" z_order')
        + POLYGON.format("scratch", "51,51;59,51;59,59", "").replace("z_order", 'group_id="3" z_order')
        + POLYGON.format("dent", "61,61;69,61;69,69", "").replace("z_order", 'group_id="0" z_order')
    )
    (draft,) = read_cvat(write_image(tmp_path, shapes), ImportOptions()).values()
    assert [(row["bbox"], len(row["segmentation"])) for row in draft.annotations] == [
        ([1, 1, 28, 28], 2), ([51, 51, 8, 8], 1), ([61, 61, 8, 8], 1),
    ]  # fmt: skip
    assert draft.refused == [] and draft.skipped == []


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ('<polyline label="dent" points="1,1;9,9;5,5"/>', "a shape of the kind 'polyline' has no area"),
        ('<points label="dent" points="1,1"/>', "'points' has no area"),
        ('<cuboid label="dent" xtl1="1"/>', "'cuboid' has no area"),
        ('<polygon label="dent" points="1,1;9,9"/>', "3 points or more"),
        ('<polygon label="dent" points="1,1;9,9;x,2"/>', "expected finite numbers"),
        ('<polygon label="dent" points="1,1;9,9;2"/>', "expected x,y;x,y"),
        ('<mask label="dent" rle="3, 9" left="1" top="1" width="3" height="3"/>', "12 pixels; expected 3 x 3"),
        ('<mask label="dent" rle="9" left="1" top="1" width="3" height="3"/>', "mask is empty"),
        ('<mask label="dent" rle="-1, 10" left="1" top="1" width="3" height="3"/>', "expected 3 x 3"),
        ('<mask label="dent" rle="0, 9" left="1" top="1" width="30000" height="30000"/>', "a part of the picture's 160 x 120"),
        ('<ellipse label="dent" cx="1" cy="2" rx="3"/>', "cx, cy, rx, ry are"),
        ('<polygon label="background" points="1,1;9,1;9,9"/>', "means what is no object"),
        ('<polygon label="other" points="1,1;9,1;9,9"/>', "'other' is not one of the classes"),
    ],
)
def test_what_has_no_area_or_no_class_is_left_out_by_name(tmp_path, shape, said):
    (draft,) = read_cvat(write_image(tmp_path, shape), ImportOptions()).values()
    (skipped,) = draft.skipped
    assert said in skipped.reason and skipped.row.startswith("image a1.jpg: ") and draft.annotations == []


def test_labels_of_whole_images_are_told_and_pictures_of_another_size_left_out(tmp_path):
    draw(tmp_path, "images/a2.jpg", size=(60, 80))
    body = '<image id="1" name="a2.jpg" width="160" height="120"/>'
    source = write_image(tmp_path, '<tag label="dent"/>')
    text = (source / "annotations.xml").read_text().replace("</annotations>", body + "</annotations>")
    (source / "annotations.xml").write_text(text)
    (draft,) = read_cvat(source, ImportOptions()).values()
    assert draft.notes == ["Labels of whole pictures, which are no objects, were left out: dent of a1.jpg"]
    assert [row.row for row in draft.skipped] == ["image a2.jpg"] and "found 80 x 60" in draft.skipped[0].reason


def test_subsets_are_splits_and_their_folders_are_looked_into(tmp_path):
    draw(tmp_path, "images/Train/a.jpg", "images/Validation/a.jpg")
    dent = POLYGON.format("dent", SQUARE, "")
    rows = (
        f'<image id="{place}" name="a.jpg" subset="{subset}" width="160" height="120">{dent}</image>'
        for place, subset in enumerate(("Train", "Validation"))
    )
    drafts = read_cvat(write(tmp_path, "".join(rows)), ImportOptions())
    assert {split: draft.pictures[0].parent.name for split, draft in drafts.items()} == {"train": "Train", "val": "Validation"}
    assert all(draft.notes == [] for draft in drafts.values())


TRACK = """<track id="4" label="dent" source="manual">
<polygon frame="0" keyframe="1" outside="0" occluded="0" points="10,10;20,10;20,20" z_order="0"></polygon>
<polygon frame="1" keyframe="0" outside="0" occluded="0" points="12,10;22,10;22,20" z_order="0"></polygon>
<polygon frame="2" keyframe="1" outside="1" occluded="0" points="12,10;22,10;22,20" z_order="0"></polygon></track>
<track id="5" label="scratch"><polygon frame="1" keyframe="1" outside="0" occluded="1" points="50,10;60,10;60,20"/></track>"""


def test_tracks_are_objects_of_each_frame_where_they_are_seen(tmp_path):
    source = write(tmp_path, TRACK)
    draw(tmp_path, *(f"images/frame_{number:06}.png" for number in range(4)))
    (draft,) = read_cvat(source, ImportOptions()).values()
    assert [path.name for path in draft.pictures] == [f"frame_{number:06}.png" for number in range(4)]
    assert draft.skipped == [] and draft.notes == [] and draft.count_empty() == 2
    assert [(row["image_id"], row["bbox"][0], row["attributes"]) for row in draft.annotations] == [
        (1, 10, {"track_id": "4"}), (2, 12, {"track_id": "4"}), (2, 50, {"occluded": True, "track_id": "5"}),
    ]  # fmt: skip


def test_frames_without_a_picture_are_named_and_without_any_the_way_out_is_said(tmp_path):
    source = write(tmp_path, TRACK)
    with pytest.raises(SourceError, match=r"no picture of a frame lies there; .*ffmpeg -i VIDEO -start_number 0 frame_%06d"):
        read_cvat(source, ImportOptions())
    draw(tmp_path, "frame_000000.png")
    (draft,) = read_cvat(source, ImportOptions()).values()
    assert len(draft.annotations) == 1 and [row.row for row in draft.skipped] == ["frame 1"]


def test_files_that_are_not_cvats_are_left_out_by_name(tmp_path):
    source = write_image(tmp_path, POLYGON.format("dent", SQUARE, ""))
    (tmp_path / "b.xml").write_text("<annotation/>")
    (tmp_path / "c.xml").write_text("<annotations>")
    (draft,) = read_cvat(source, ImportOptions()).values()
    assert len(draft.annotations) == 1
    assert [(row.file[-5:], row.reason[:11]) for row in draft.skipped] == [("b.xml", "not CVAT's "), ("c.xml", "no XML: no ")]


def test_given_classes_choose_and_order(tmp_path):
    shapes = POLYGON.format("dent", SQUARE, "") + POLYGON.format("scratch", SQUARE, "")
    (draft,) = read_cvat(write_image(tmp_path, shapes), ImportOptions(["dent"])).values()
    assert list(draft.names) == ["dent"] and len(draft.annotations) == 1
    assert "'scratch' is not one of the classes" in draft.skipped[0].reason
