"""Pascal VOC's two palette pictures become classes and exact outlines."""

import numpy as np
import pytest
from PIL import Image

from maskzoo.datasets.importers.builder import ImportOptions
from maskzoo.datasets.importers.voc import VOC_CLASSES, read_voc
from maskzoo.errors import SourceError


def save(path, numbers):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(numbers.astype(np.uint8))
    image.putpalette([value for place in range(256) for value in ((place * 67) % 256, (place * 31) % 256, place)])
    image.save(path)


@pytest.fixture
def source(tmp_path):
    """One picture with a person and a cat, each with a void border, in the folder VOC2012 of a VOCdevkit."""
    folder = tmp_path / "VOC2012"
    objects, classes = np.zeros((24, 30), np.uint8), np.zeros((24, 30), np.uint8)
    for number, kind, x in ((1, 15, 2), (2, 8, 16)):
        objects[3:15, x : x + 12] = classes[3:15, x : x + 12] = 255
        objects[4:14, x + 1 : x + 11] = number
        classes[4:14, x + 1 : x + 11] = kind
    classes[4, 3:6] = 7
    for name in ("one", "two"):
        save(folder / f"SegmentationObject/{name}.png", objects)
        save(folder / f"SegmentationClass/{name}.png", classes)
        (folder / "JPEGImages").mkdir(exist_ok=True)
        Image.fromarray(np.zeros((24, 30, 3), np.uint8)).save(folder / f"JPEGImages/{name}.jpg")
    (folder / "ImageSets/Segmentation").mkdir(parents=True)
    (folder / "ImageSets/Segmentation/train.txt").write_text("one\n")
    (folder / "ImageSets/Segmentation/val.txt").write_text("two\n")
    (folder / "ImageSets/Segmentation/trainval.txt").write_text("one\ntwo\n")
    return tmp_path


def test_an_object_has_the_class_of_most_of_its_pixels_and_no_void(source):
    drafts = read_voc(source, ImportOptions())
    assert list(drafts) == ["train", "val"] and drafts["train"].skipped == []
    person, cat = drafts["train"].annotations
    assert VOC_CLASSES[person["category_id"] - 1] == "person" and VOC_CLASSES[cat["category_id"] - 1] == "cat"
    assert person["bbox"] == [3, 4, 10, 10] and person["area"] == 100
    assert person["segmentation"] == [[3, 4, 13, 4, 13, 14, 3, 14]]
    assert [path.name for path in drafts["val"].pictures] == ["two.jpg"]


def test_without_lists_all_masks_are_one_set_and_classes_can_be_given(source):
    for path in (source / "VOC2012/ImageSets/Segmentation").iterdir():
        path.unlink()
    (draft,) = read_voc(source / "VOC2012", ImportOptions([f"class {place}" for place in range(1, 16)])).values()
    assert len(draft.pictures) == 2 and draft.names[14] == "class 15"


def test_what_does_not_fit_is_named(source):
    folder = source / "VOC2012"
    (folder / "ImageSets/Segmentation/train.txt").write_text("one\ngone\n../two\n")
    (draft, _) = read_voc(source, ImportOptions(["only", "two"])).values()
    assert [(row.file.rsplit("/", 1)[-1], row.row) for row in draft.skipped] == [
        ("train.txt", "line 2"), ("train.txt", "line 3"), ("one.png", "object 1"), ("one.png", "object 2"),
    ]  # fmt: skip
    assert "class 15; expected one from 1 to 2" in draft.skipped[2].reason
    save(folder / "SegmentationClass/one.png", np.zeros((24, 31)))
    assert "31 x 24 pixels; expected its picture's 30 x 24" in read_voc(source, ImportOptions())["train"].skipped[-1].reason


def test_a_folder_without_object_masks_is_refused(tmp_path):
    with pytest.raises(SourceError, match="SegmentationObject"):
        read_voc(tmp_path, ImportOptions())
