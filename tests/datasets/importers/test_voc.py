"""Pascal VOC's two palette pictures become classes and exact outlines."""

import numpy as np
import pytest
from PIL import Image

from maskzoo.datasets.importers.builder import ImportOptions
from maskzoo.datasets.importers.voc import VOC_CLASSES, is_voc, name_splits, read_voc
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
    assert "of the class 15; expected one of only, two" in draft.skipped[2].reason
    save(folder / "SegmentationClass/one.png", np.zeros((24, 31)))
    assert "31 x 24 pixels; expected its picture's 30 x 24" in read_voc(source, ImportOptions())["train"].skipped[-1].reason


def test_a_folder_without_object_masks_is_refused(tmp_path):
    with pytest.raises(SourceError, match="SegmentationObject"):
        read_voc(tmp_path, ImportOptions())


def make_own(folder, lists, void=False, colours=None):
    """Write a photo with two dents and a scratch (places 2, 2, 1), and the lists of classes."""
    kinds = np.zeros((24, 30), np.uint8)
    objects = np.zeros((24, 30), np.uint8)
    for number, kind, x in ((1, 2, 1), (2, 1, 9), (3, 2, 18)):
        objects[4:14, x : x + 7] = number
        kinds[4:14, x : x + 7] = kind
    if void:
        kinds[20:22, 3:9] = objects[20:22, 3:9] = 255
    if colours is None:
        save(folder / "SegmentationClass/a.png", kinds)
        save(folder / "SegmentationObject/a.png", objects)
    else:
        for name, numbers in (("SegmentationClass", kinds), ("SegmentationObject", objects)):
            (folder / name).mkdir(parents=True)
            Image.fromarray(np.array(colours[name], np.uint8)[numbers]).save(folder / name / "a.png")
    (folder / "JPEGImages").mkdir()
    Image.fromarray(np.zeros((24, 30, 3), np.uint8)).save(folder / "JPEGImages/a.JPG", "JPEG")
    for name, text in lists.items():
        (folder / name).write_text(text)
    return folder


def name_objects(draft):
    return [draft.names[row["category_id"] - 1] for row in draft.annotations]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("class_names.txt", "_background_\nscratch\ndent\n"),
        ("classes.txt", "scratch\ndent"),
        ("labels.txt", "__ignore__\n_background_\nscratch\ndent"),
        ("labelmap.txt", "# label:color_rgb:parts:actions\nbackground:::\nscratch:::\ndent:::\n"),
    ],
)
@pytest.mark.parametrize("given", [None, ["scratch", "dent"], ["_background_", "scratch", "dent"], ["dent", "scratch"]])
def test_a_list_beside_the_masks_says_what_their_numbers_mean(tmp_path, name, text, given):
    (draft,) = read_voc(make_own(tmp_path, {name: text}), ImportOptions(given)).values()
    assert name_objects(draft) == ["dent", "scratch", "dent"] and draft.skipped == []
    assert list(draft.names) == (["dent", "scratch"] if given and given[0] == "dent" else ["scratch", "dent"])


def test_a_class_that_is_not_asked_for_is_left_out_by_name(tmp_path):
    (draft,) = read_voc(make_own(tmp_path, {"classes.txt": "scratch\ndent"}), ImportOptions(["scratch"])).values()
    assert name_objects(draft) == ["scratch"]
    assert [row.reason for row in draft.skipped] == ["of the class 'dent'; expected one of scratch"] * 2


def test_without_a_list_classes_are_vocs_only_if_something_shows_it(tmp_path):
    with pytest.raises(
        SourceError, match=r"nothing shows that they are VOC's twenty; expected one of labelmap\.txt, .*--classes"
    ):
        read_voc(make_own(tmp_path / "own", {}), ImportOptions())
    (draft,) = read_voc(tmp_path / "own", ImportOptions(["_background_", "scratch", "dent"])).values()
    assert name_objects(draft) == ["dent", "scratch", "dent"]
    (draft,) = read_voc(make_own(tmp_path / "void", {}, void=True), ImportOptions()).values()
    assert name_objects(draft) == ["bicycle", "aeroplane", "bicycle"] and "taken as VOC's; give your own" in draft.notes[0]


CVAT = {
    "SegmentationClass": [(0, 0, 0), (250, 50, 83), (51, 221, 255)],
    "SegmentationObject": [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0)],
}
LABELMAP = "# label:color_rgb:parts:actions\nbackground:0,0,0::\nscratch:250,50,83::\ndent:51,221,255::\n"


@pytest.mark.parametrize("given", [None, ["scratch", "dent"]])
def test_cvats_colours_are_classes_by_the_labelmap_and_objects_by_colour(tmp_path, given):
    source = make_own(tmp_path, {"labelmap.txt": LABELMAP}, colours=CVAT)
    (source / "ImageSets/Segmentation").mkdir(parents=True)
    (source / "ImageSets/Segmentation/default.txt").write_text("a\n")
    drafts = read_voc(source, ImportOptions(given))
    assert list(drafts) == ["train"] and drafts["train"].skipped == []
    assert sorted(name_objects(drafts["train"])) == ["dent", "dent", "scratch"]
    assert {row["area"] for row in drafts["train"].annotations} == {70}


def test_colours_that_no_list_has_are_named(tmp_path):
    odd = CVAT | {"SegmentationClass": [(0, 0, 0), (250, 50, 83), (9, 9, 8)]}
    (draft,) = read_voc(make_own(tmp_path, {"labelmap.txt": LABELMAP}, colours=odd), ImportOptions()).values()
    assert name_objects(draft) == ["scratch"]
    assert [str(row).split(": ", 1)[1] for row in draft.skipped] == [
        f"object {colour}: of the class 9, 9, 8; expected one of scratch, dent" for colour in ("128, 0, 0", "128, 128, 0")
    ]


def test_colours_of_vocs_palette_are_its_numbers(tmp_path):
    palette = {name: [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0)] for name in CVAT}
    (draft,) = read_voc(make_own(tmp_path, {"classes.txt": "scratch\ndent"}, colours=palette), ImportOptions()).values()
    assert sorted(name_objects(draft)) == ["dent", "dent", "scratch"]


def test_labelmes_old_names_and_numpy_files_are_read(tmp_path):
    source = make_own(tmp_path, {"class_names.txt": "_background_\nscratch\ndent"})
    for name in ("SegmentationClass", "SegmentationObject"):
        np.save(source / f"{name}/a.npy", np.asarray(Image.open(source / f"{name}/a.png")).astype(np.int32))
        (source / f"{name}PNG").mkdir()
        (source / f"{name}/a.png").rename(source / f"{name}PNG/a.png")
    (draft,) = read_voc(source, ImportOptions()).values()
    assert name_objects(draft) == ["dent", "scratch", "dent"]
    for name in ("SegmentationClass", "SegmentationObject"):
        (source / f"{name}PNG/a.png").unlink()
    (draft,) = read_voc(source, ImportOptions()).values()
    assert name_objects(draft) == ["dent", "scratch", "dent"]


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (["default"], {"default": "train"}),
        (["trainval"], {"trainval": "train"}),
        (["Train", "validation", "trainval"], {"Train": "train", "validation": "val"}),
        (["batch1", "batch2"], {"batch1": "batch1", "batch2": "batch2"}),
        ([], {}),
    ],
)
def test_lists_are_splits_by_their_names(names, splits):
    assert name_splits(names) == splits


@pytest.mark.parametrize(
    "line", ["{}", "{}.jpg", "JPEGImages/{0}.jpg SegmentationClass/{0}.png", "D:\\voc\\JPEGImages\\{}.jpg", "{}  1"]
)
def test_a_line_of_a_list_may_have_a_path_and_more_columns(source, line):
    lists = source / "VOC2012/ImageSets/Segmentation"
    before = {split: len(draft.annotations) for split, draft in read_voc(source, ImportOptions()).items()}
    for path in lists.iterdir():
        path.write_text("".join(f"{line.format(name)}\n" for name in path.read_text().split()))
    drafts = read_voc(source, ImportOptions())
    assert {split: len(draft.annotations) for split, draft in drafts.items()} == before
    lists.rename(lists.parent / "Main")
    assert {split: len(draft.annotations) for split, draft in read_voc(source, ImportOptions()).items()} == before


def test_masks_in_no_list_are_counted_and_listed_ones_without_a_mask_are_named(source):
    (source / "VOC2012/ImageSets/Segmentation/val.txt").write_text("\n")
    drafts = read_voc(source, ImportOptions())
    assert list(drafts) == ["train"] and "1 mask in no list" in drafts["train"].notes[0]
    (source / "VOC2012/SegmentationObject/one.png").unlink()
    assert "no mask of the name 'one'" in read_voc(source, ImportOptions())["train"].skipped[0].reason


def test_classes_alone_do_not_make_objects(source):
    for path in (source / "VOC2012/SegmentationObject").iterdir():
        path.unlink()
    assert is_voc(source)
    with pytest.raises(SourceError, match="SegmentationClass alone does not tell objects of a class apart"):
        read_voc(source, ImportOptions())
