"""What is exported and read again is the same data set, and what a format does not hold is counted."""

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from labelled_sets import compare_sets, list_objects, make_masks, make_pictures, write_set
from maskzoo.datasets.exporters.formats import EXPORTERS
from maskzoo.datasets.importers.convert import convert_dataset
from maskzoo.datasets.mask_outlines import trace
from maskzoo.errors import AnnotationsError, ArgumentError, MaskzooError, SourceError

NAMES = ("cat", "dog", "big tree")
READ_BACK = ("yolo", "labelme", "voc", "via", "cvat", "labelstudio", "masks")
APART = ("via", "cvat", "labelstudio")  # these name pictures that stay where they are


def go_and_return(file, folder, to):
    made = convert_dataset(file, folder / to, to=to)
    classes, images = NAMES if to in ("via", "labelstudio") else None, file.parent if to in APART else None
    back = convert_dataset(folder / to, folder / f"{to}.json", classes=classes, images=images)
    assert back.skipped == [] and back.classes[: len(made.classes)] == made.classes and back.format == to
    return made, list_objects(folder / f"{to}.json")


@pytest.mark.parametrize("to", ["masks", "voc"])
def test_small_objects_that_touch_everywhere_are_no_soft_edges(tmp_path, to):
    numbers = np.random.default_rng(0).integers(0, 9, (40, 60))
    objects = [((numbers == number).astype(np.uint8), number % 3, {}) for number in range(1, 9)]
    file = write_set(tmp_path / "set", {"a.png": objects})
    after = go_and_return(file, tmp_path, to)[1]
    assert compare_sets(list_objects(file), after) == [] and len(after) == 8


def describe(objects):
    """Return what is said about each object, attributes as texts: VIA and CVAT know nothing else."""
    return sorted((*one[:3], sorted((name, str(value).lower()) for name, value in one[3].items())) for one in objects)


@pytest.mark.parametrize("to", READ_BACK)
def test_a_data_set_comes_back_the_same(tmp_path, to):
    file = write_set(tmp_path / "set", make_pictures())
    made, after = go_and_return(file, tmp_path, to)
    before = list_objects(file)
    assert (made.format, made.to, made.classes) == ("coco", to, NAMES)
    objects = [one for one in before if not one[2]] if to in ("yolo", "voc") else before
    assert compare_sets(objects, after) == [] and len(after) == len(objects)
    if to not in ("yolo", "voc"):
        assert describe(after) == describe(before)
    split = made.splits["train"]
    assert (split.images, split.empty_images) == (4, 1)


@pytest.mark.parametrize("to", READ_BACK)
@settings(deadline=None, max_examples=60)
@given(
    numbers=arrays(np.uint8, st.tuples(st.integers(1, 14), st.integers(1, 14)), elements=st.integers(0, 3)),
    traced=st.booleans(),
)
def test_any_masks_come_back_the_same(to, numbers, traced):
    masks = [(numbers == number).astype(np.uint8) for number in range(1, 4) if (numbers == number).any()]
    if not masks:
        return
    objects = [([p.tolist() for p in trace(mask)] if traced else mask, label, {}) for label, mask in enumerate(masks)]
    if traced:
        objects.append((np.zeros(numbers.shape, np.uint8), 0, {}))  # says the size; it has no pixel
    with tempfile.TemporaryDirectory() as name:
        file = write_set(Path(name) / "set", {"a.png": objects})
        made, after = go_and_return(file, Path(name), to)
        assert made.lost.get("empty", 0) == traced and made.lost.get("pixels", 0) == 0
        assert compare_sets(list_objects(file)[: len(masks)], after) == [] and len(after) == len(masks)


@pytest.mark.parametrize("to", READ_BACK)
def test_names_of_files_and_classes_in_any_letters_come_back(tmp_path, to):
    mask, names = make_masks()["blob"], ("猫 & <Hund>", "a:b, 'c'", '"#"')
    pictures = {"ä b#1%+.png": [(mask, 0, {})], "in dir/c&d'e;f.jpg": [(mask, 1, {}), (make_masks()["ring"], 2, {})]}
    file = write_set(tmp_path / "set", pictures, names=names)
    convert_dataset(file, tmp_path / to, to=to)
    images = file.parent if to in APART else None
    back = convert_dataset(tmp_path / to, tmp_path / "back.json", images=images)
    assert back.skipped == [] and set(back.classes) == set(names)
    assert compare_sets(list_objects(file), list_objects(tmp_path / "back.json")) == []


def test_classes_and_attributes_that_mean_something_else_there_are_told(tmp_path):
    more = {"attributes": {"group_id": 3, "class": "big", "old": True}}
    file = write_set(tmp_path / "set", {"a.png": [(make_masks()["blob"], 0, more)]}, names=("_background_", "cat"))
    made = convert_dataset(file, tmp_path / "via", to="via")
    assert made.lost["attributes"] == 1 and any("'_background_' means what is no object" in note for note in made.notes)
    content = json.loads((tmp_path / "via/via_region_data.json").read_text())
    ((region,),) = (entry["regions"] for entry in content["_via_img_metadata"].values())
    assert region["region_attributes"] == {"class": "_background_", "old": "true"}


@settings(deadline=None, max_examples=60)
@given(centre=st.tuples(st.floats(20, 180), st.floats(20, 180)), radius=st.floats(2, 150), bend=st.floats(0, 0.6))
def test_a_large_mask_becomes_a_polygon_of_few_points_that_is_near_enough(centre, radius, bend):
    y, x = np.mgrid[:200, :200]
    angle = np.arctan2(y - centre[1], x - centre[0])
    mask = np.hypot(x - centre[0], y - centre[1]) < radius * (1 + bend * np.sin(5 * angle))
    with tempfile.TemporaryDirectory() as name:
        file = write_set(Path(name) / "set", {"a.png": [(mask.astype(np.uint8), 0, {})]})
        convert_dataset(file, Path(name) / "labelme", to="labelme")
        shapes = json.loads((Path(name) / "labelme/a.json").read_text())["shapes"]
        convert_dataset(Path(name) / "labelme", Path(name) / "back.json", format="labelme")
        assert compare_sets(list_objects(file), list_objects(Path(name) / "back.json")) == []
    exact = sum(len(polygon) // 2 for polygon in trace(mask))
    points = sum(len(shape["points"]) for shape in shapes)
    assert points <= exact
    if exact > 60 and bend < 0.1:  # a round outline, much of which is in the picture
        assert points < exact / 2


def test_what_a_format_does_not_hold_is_counted(tmp_path):
    pictures = make_pictures()
    pictures["a.png"][0][2].update(score=0.75, keypoints=[1, 2, 2])
    pictures["a.png"][1][2].update(ignore=1)
    file = write_set(tmp_path / "set", pictures)
    lost = {to: convert_dataset(file, tmp_path / to, to=to).lost for to in EXPORTERS if to != "coco"}
    for to in ("yolo", "voc"):
        expected = {"crowds": 1, "ignored": 1, "scores": 1, "attributes": 2, "image_ids": 4, "other_fields": 1}
        assert lost[to].items() >= expected.items() and "pixels" not in lost[to]
    assert lost["yolo"]["object_ids"] == 9
    for to in ("labelme", "via", "cvat"):
        assert lost[to] == {"image_ids": 4, "object_ids": 11, "other_fields": 1}
    assert lost["masks"] == {"image_ids": 4, "other_fields": 1}
    assert lost["csv"] == lost["labelstudio"] == {"other_fields": 1}


def test_classes_of_splits_are_joined_by_name_and_numbers_that_are_lost_are_told(tmp_path):
    mask = make_masks()["blob"]
    write_set(tmp_path / "set", {"a.png": [(mask, 0, {})]}, names=("cat", "dog"), file="train.json")
    file = write_set(tmp_path / "set", {"b.png": [(mask, 0, {})]}, names=("dog", "cow", "cow"), file="val.json")
    data = json.loads(file.read_text())
    data["categories"][1]["id"], data["categories"][2]["id"] = 50, 51
    file.write_text(json.dumps(data))
    made = convert_dataset(tmp_path / "set", tmp_path / "yolo", to="yolo")
    assert made.classes == ("cat", "dog", "cow") and list(made.splits) == ["train", "val"]
    assert made.lost["class_ids"] == 3 and made.lost["same_names"] == 1
    assert (tmp_path / "yolo/labels/val/b.txt").read_text().startswith("1 ")


def test_a_class_map_renames_merges_and_drops_before_anything_is_written(tmp_path):
    file = write_set(tmp_path / "set", make_pictures())
    classes = {"pet": ["dog", "cat"], "drop": ["big tree"]}
    made = convert_dataset(file, tmp_path / "yolo", to="yolo", classes=classes)
    assert made.classes == ("pet",) and made.splits["train"].objects == 6 and "pet from" in made.notes[0]
    convert_dataset(file, tmp_path / "labelme", to="labelme")
    again = convert_dataset(tmp_path / "labelme", tmp_path / "cvat", to="cvat", classes=classes)
    assert again.classes == ("pet",) and again.splits["train"].objects == 7 and "pet from" in again.notes[0]


def test_a_class_map_makes_a_new_coco_file_of_one_and_keeps_all_else(tmp_path):
    pictures = make_pictures()
    pictures["a.png"][0][2]["keypoints"] = [1, 2, 2]
    file = write_set(tmp_path / "set", pictures)
    made = convert_dataset(file, tmp_path / "set/new.json", classes={"pet": ["dog", "cat"], "rest": "keep"})
    before, after = json.loads(file.read_text()), json.loads((tmp_path / "set/new.json").read_text())
    assert after["images"] == before["images"] and after["annotations"][0]["keypoints"] == [1, 2, 2]
    assert [row["name"] for row in after["categories"]] == ["pet", "big tree"] and made.lost == {}
    assert made.classes == ("pet", "big tree") and len(made.notes) == 1
    with pytest.raises(SourceError, match="is the source itself"):
        convert_dataset(file, file, classes={"pet": ["dog", "cat"], "rest": "keep"}, force=True)
    assert json.loads(file.read_text()) == before


def test_splits_of_coco_files_get_new_classes_in_a_folder(tmp_path):
    mask = make_masks()["blob"]
    write_set(tmp_path / "set", {"a.png": [(mask, 0, {})]}, names=("cat", "dog"), file="train.json")
    write_set(tmp_path / "set", {"b.png": [(mask, 0, {})]}, names=("dog",), file="val.json")
    with pytest.raises(SourceError, match="give a folder as OUT"):
        convert_dataset(tmp_path / "set", tmp_path / "one.json", classes={"pet": ["dog", "cat"]})
    made = convert_dataset(tmp_path / "set", tmp_path / "new", classes={"pet": ["dog", "cat"]})
    assert {split: part.file.name for split, part in made.splits.items()} == {"train": "train.json", "val": "val.json"}
    assert [one[1] for one in list_objects(tmp_path / "new/val.json")] == ["pet"]


def test_importable_formats_are_sources_too(tmp_path):
    file = write_set(tmp_path / "set", make_pictures())
    convert_dataset(file, tmp_path / "labelme", to="labelme")
    made = convert_dataset(tmp_path / "labelme", tmp_path / "yolo", to="yolo", classes=NAMES)
    assert (made.format, made.to) == ("labelme", "yolo")
    assert (tmp_path / "yolo/images/train/in/b.jpg").resolve() == tmp_path / "set/in/b.jpg"
    assert convert_dataset(tmp_path / "yolo", tmp_path / "back.json").splits["train"].objects == made.splits["train"].objects


def test_pictures_are_linked_copied_or_left_out_and_never_overwritten(tmp_path):
    file = write_set(tmp_path / "set", make_pictures())
    convert_dataset(file, tmp_path / "link", to="yolo")
    assert (tmp_path / "link/images/train/a.png").is_symlink()
    convert_dataset(file, tmp_path / "copy", to="yolo", pictures="copy")
    copy = tmp_path / "copy/images/train/a.png"
    assert not copy.is_symlink() and copy.read_bytes() == (tmp_path / "set/a.png").read_bytes()
    made = convert_dataset(file, tmp_path / "none", to="yolo", pictures="none")
    assert f"4 pictures are not there: put them into {tmp_path}/none/images/train" in made.notes
    with pytest.raises(MaskzooError, match="not empty"):
        convert_dataset(file, tmp_path / "copy", to="yolo", pictures="copy")
    convert_dataset(file, tmp_path / "copy", to="yolo", pictures="copy", force=True)
    convert_dataset(file, tmp_path / "link", to="yolo", force=True)
    copy.write_bytes(b"mine")
    with pytest.raises(MaskzooError, match="another picture has this name"):
        convert_dataset(file, tmp_path / "copy", to="yolo", force=True)
    assert copy.read_bytes() == b"mine"


def test_a_label_that_is_written_again_does_not_go_through_a_link(tmp_path):
    file = write_set(tmp_path / "set", make_pictures())
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / "yolo/labels/train").mkdir(parents=True)
    (tmp_path / "yolo/labels/train/a.txt").symlink_to(tmp_path / "mine.txt")
    convert_dataset(file, tmp_path / "yolo", to="yolo", force=True)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_pictures_that_are_nowhere_are_told_and_labels_are_written(tmp_path):
    file = write_set(tmp_path / "set", make_pictures())
    (tmp_path / "set/a.png").unlink()
    made = convert_dataset(file, tmp_path / "yolo", to="yolo")
    assert f"1 picture is not there: put them into {tmp_path}/yolo/images/train" in made.notes
    assert (tmp_path / "yolo/labels/train/a.txt").is_file()


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"to": "tfrecord"}, ArgumentError, "expected one of coco, yolo"),
        ({"to": "cvat", "pictures": "copy"}, ArgumentError, "names the pictures where they are"),
        ({"to": "yolo", "pictures": "move"}, ArgumentError, "link, copy, none"),
        ({"to": "yolo", "boxes": "masks"}, ArgumentError, "leave out --boxes"),
        ({"to": "yolo", "classes": "cat"}, ArgumentError, "leave out --classes"),
        ({"to": "yolo", "score": 0.5}, ArgumentError, "leave out --score"),
        ({"to": "coco"}, SourceError, "COCO's format already"),
        ({"to": "coco", "format": "coco"}, SourceError, "COCO's format already"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path, options, error, said):
    file = write_set(tmp_path / "set", make_pictures())
    with pytest.raises(error, match=said):
        convert_dataset(file, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_the_source_itself_is_never_written(tmp_path):
    file = write_set(tmp_path / "set", make_pictures())
    convert_dataset(file, tmp_path / "labelme", to="labelme")
    with pytest.raises(MaskzooError, match="is the source itself"):
        convert_dataset(tmp_path / "labelme", tmp_path / "labelme", to="yolo", force=True)
    with pytest.raises(MaskzooError, match=r"out\.json: yolo is a folder"):
        convert_dataset(file, tmp_path / "out.json", to="yolo")


def test_faults_stop_it_with_the_way_to_mend_them(tmp_path):
    file = write_set(tmp_path / "set", make_pictures())
    data = json.loads(file.read_text())
    data["annotations"][0]["category_id"] = 99
    file.write_text(json.dumps(data))
    with pytest.raises(AnnotationsError, match="maskzoo data check"):
        convert_dataset(file, tmp_path / "yolo", to="yolo")
    assert not (tmp_path / "yolo").exists()


def test_a_folder_that_could_be_two_formats_is_asked_for(tmp_path):
    file = write_set(tmp_path / "set", make_pictures())
    convert_dataset(file, tmp_path / "set/yolo", to="yolo")
    (tmp_path / "set/yolo/data.json").write_text(file.read_text())
    with pytest.raises(SourceError, match="could be coco or yolo; say which with --from"):
        convert_dataset(tmp_path / "set/yolo", tmp_path / "x", to="csv")
    assert convert_dataset(tmp_path / "set/yolo", tmp_path / "x", to="csv", format="coco").format == "coco"
