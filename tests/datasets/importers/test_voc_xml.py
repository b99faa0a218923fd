"""Pascal VOC's XML: boxes are refused or taken as asked for, outlines are used where a tool wrote them."""

import numpy as np
import pytest
from PIL import Image

from maskzoo.datasets.importers.builder import ImportOptions
from maskzoo.datasets.importers.voc_xml import is_voc_xml, read_voc_xml
from maskzoo.errors import SourceError

BOX = "<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox>"


def write(folder, name, *objects, picture="a1.jpg", place="JPEGImages", database="Unknown"):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / place).mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((120, 160, 3), np.uint8)).save(folder / place / picture)
    rows = "".join(f"<object>{row}</object>" for row in objects)
    (folder / name).write_text(
        f"<annotation><folder>x</folder><filename>{picture}</filename><source><database>{database}</database></source>"
        f"<size><width>160</width><height>120</height><depth>3</depth></size>{rows}</annotation>"
    )
    return folder


SCRATCH = "<name>scratch</name><pose>Left</pose><truncated>1</truncated><difficult>0</difficult>" + BOX.format(20, 20, 70, 80)
DENT = "<name>dent</name><pose>Unspecified</pose><difficult>1</difficult>" + BOX.format(90, 30, 140, 90)


def test_boxes_alone_are_refused_by_name_unless_it_is_said_what_they_become(tmp_path):
    source = write(tmp_path, "Annotations/a1.xml", SCRATCH, DENT)
    assert is_voc_xml(source)
    with pytest.raises(SourceError, match=r"this is Pascal VOC XML: boxes, no outlines \(2 objects\); .*--boxes masks"):
        read_voc_xml(source, ImportOptions())
    (draft,) = read_voc_xml(source, ImportOptions(boxes="masks")).values()
    assert list(draft.names) == ["dent", "scratch"] and draft.skipped == [] and draft.notes == []
    scratch, dent = draft.annotations
    assert scratch["bbox"] == [20, 20, 50, 60] and scratch["attributes"] == {"truncated": True, "pose": "Left"}
    assert dent["bbox"] == [90, 30, 50, 60] and dent["attributes"] == {"difficult": True}


def test_vocs_own_boxes_count_from_one_and_include_the_last_pixel(tmp_path):
    source = write(tmp_path, "Annotations/a1.xml", SCRATCH, database="The VOC2007 Database")
    (draft,) = read_voc_xml(source, ImportOptions(boxes="crowds")).values()
    assert draft.annotations[0]["bbox"] == [19, 19, 51, 61] and draft.annotations[0]["iscrowd"] == 1


def test_outlines_of_rectlabel_and_roboflow_are_used(tmp_path):
    polygon = "<polygon><x1>20</x1><y1>20</y1><x2>70</x2><y2>25</y2><x3>60</x3><y3>80</y3><x4>25</x4><y4>70</y4></polygon>"
    source = write(tmp_path, "train/a1.xml", SCRATCH + polygon, place="train")
    write(source, "valid/a2.xml", SCRATCH + polygon, picture="a2.jpg", place="valid")
    assert is_voc_xml(source)
    drafts = read_voc_xml(source, ImportOptions())
    assert list(drafts) == ["train", "val"]
    (row,) = drafts["train"].annotations
    assert row["segmentation"] == [[20, 20, 70, 25, 60, 80, 25, 70]] and row["area"] == 2250


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("<name>dent</name>", "xmin, ymin, xmax, ymax are"),
        (DENT.replace("<name>dent", "<name>"), "label '' is not one of the classes"),
        (DENT + "<polygon><x1>1</x1><y1>2</y1></polygon>", "expected x1, y1 to x3, y3"),
        (DENT + "<polygon><x1>1</x1><y1>2</y1><x2>1</x2><x3>1</x3></polygon>", "expected x1, y1 to x3, y3"),
        (DENT.replace("90", "nan"), "expected finite numbers"),
    ],
)
def test_rows_that_make_no_sense_are_left_out_by_name(tmp_path, row, said):
    source = write(tmp_path, "Annotations/a1.xml", SCRATCH, row)
    (draft,) = read_voc_xml(source, ImportOptions(boxes="masks")).values()
    assert len(draft.annotations) == 1
    assert [(skipped.row, said in skipped.reason) for skipped in draft.skipped] == [("object 1", True)]


def test_lists_are_splits_and_what_they_leave_out_is_told(tmp_path):
    for name in ("a1", "a2", "a3"):
        write(tmp_path, f"Annotations/{name}.xml", SCRATCH, picture=f"{name}.jpg")
    (tmp_path / "ImageSets/Main").mkdir(parents=True)
    for split, name in (("train", "a1"), ("val", "a2"), ("scratch_train", "a3")):
        (tmp_path / f"ImageSets/Main/{split}.txt").write_text(f"{name}\n")
    drafts = read_voc_xml(tmp_path, ImportOptions(boxes="masks"))
    assert {split: [path.name for path in draft.pictures] for split, draft in drafts.items()} == {
        "train": ["a1.jpg"], "val": ["a2.jpg"],
    }  # fmt: skip
    assert drafts["train"].notes[0].startswith("In no list of") and drafts["train"].notes[0].endswith("a3")


def test_masks_beside_the_boxes_are_read_instead(tmp_path):
    source = write(tmp_path, "Annotations/a1.xml", SCRATCH)
    (source / "SegmentationObject").mkdir()
    assert not is_voc_xml(source)


def test_a_picture_is_found_by_the_files_name_and_other_xml_is_left_out(tmp_path):
    source = write(tmp_path, "Annotations/a1.xml", SCRATCH)
    text = (source / "Annotations/a1.xml").read_text()
    (source / "Annotations/a1.xml").write_text(text.replace("<filename>a1.jpg", "<filename>000001"))
    (source / "Annotations/b.xml").write_text("<other/>")
    (source / "Annotations/c.xml").write_text("<!DOCTYPE a><annotation/>")
    (draft,) = read_voc_xml(source, ImportOptions(boxes="masks")).values()
    assert len(draft.annotations) == 1 and [row.file[-5:] for row in draft.skipped] == ["b.xml", "c.xml"]
