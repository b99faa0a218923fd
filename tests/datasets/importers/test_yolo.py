"""YOLO segmentation data becomes COCO, row by row, and what does not fit is named with its file and line."""

import numpy as np
import pytest
from PIL import Image

import maskzoo
from maskzoo.datasets.coco_reader import pack_annotations
from maskzoo.datasets.importers.builder import ImportOptions
from maskzoo.datasets.importers.yolo import read_yolo
from maskzoo.errors import SourceError

TRIANGLE = "1 0.1 0.2 0.5 0.2 0.5 0.6"


@pytest.fixture
def source(tmp_path):
    """Two splits of 40 x 20 pictures; the second picture of train has no labels."""
    for split, names in {"train": ["a", "b"], "val": ["c"]}.items():
        for name in names:
            save(tmp_path / "images" / split / f"{name}.png")
        (tmp_path / "labels" / split).mkdir(parents=True)
    (tmp_path / "data.yaml").write_text("path: .\ntrain: images/train\nval: images/val\nnames: {0: cat, 1: dog}\n")
    (tmp_path / "labels/train/a.txt").write_text(f"{TRIANGLE}\n0 0 0 1 0 1.0000001 1 0 1\n")
    (tmp_path / "labels/val/c.txt").write_text(TRIANGLE)
    return tmp_path


def save(path, size=(40, 20), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((size[1], size[0], 3), np.uint8)).save(path, **options)


def test_polygons_become_pixels_with_box_area_and_class(source):
    drafts = read_yolo(source, ImportOptions())
    assert list(drafts) == ["train", "val"] and drafts["train"].skipped == []
    content = drafts["train"].to_coco(source)
    assert [image["file_name"] for image in content["images"]] == ["images/train/a.png", "images/train/b.png"]
    assert content["categories"] == [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    dog, cat = content["annotations"]
    assert dog["segmentation"] == [[4, 4, 20, 4, 20, 12]] and dog["category_id"] == 2
    assert dog["bbox"] == [4, 4, 16, 8] and dog["area"] == 64
    assert cat["segmentation"] == [[0, 0, 40, 0, 40, 20, 0, 20]] and cat["area"] == 800
    assert drafts["train"].count_empty() == 1
    assert len(pack_annotations(content, "made").ids) == 2


def test_the_data_file_itself_can_be_the_source_and_classes_can_be_renamed(source):
    drafts = read_yolo(source / "data.yaml", ImportOptions(["kitten", "puppy"]))
    assert drafts["val"].to_coco(source)["categories"][1]["name"] == "puppy"
    assert len(drafts["val"].annotations) == 1


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("0 0.1 0.1 nan 0.5 0.5 0.1", "outside of 0 to 1"),
        ("0 0.1 0.1 1e300 0.5 0.5 0.1", "outside of 0 to 1"),
        ("0 0.1 0.1 1.5 0.5 0.5 0.1", "outside of 0 to 1"),
        ("2 0.1 0.1 0.5 0.5 0.5 0.1", "from 0 to 1"),
        ("nan 0.1 0.1 0.5 0.5 0.5 0.1", "from 0 to 1"),
        ("0.5 0.1 0.1 0.5 0.5 0.5 0.1", "from 0 to 1"),
        ("0 0.1 0.1 0.5 0.5 0.5", "6 numbers"),
        ("0 0.1 0.1 0.5 0.5 0.5 0.1 0.2", "8 numbers"),
        ("cat 0.1 0.1 0.5 0.5 0.5 0.1", "expected numbers"),
        ("0 0.1 0.1 0.5 0.5 0.9 0.9", "no area"),
    ],
)
def test_a_row_that_makes_no_sense_is_skipped_with_file_and_line(source, row, said):
    (source / "labels/train/a.txt").write_text(f"{TRIANGLE}\n\n{row}\n")
    (skipped,) = read_yolo(source, ImportOptions())["train"].skipped
    assert skipped.file == str(source / "labels/train/a.txt") and skipped.row == "line 3"
    assert said in skipped.reason


def test_boxes_are_refused_with_their_number_or_taken_for_rectangles(source):
    (source / "labels/train/a.txt").write_text("0 0.5 0.5 0.5 0.5\n1 0.5 0.5 1 1\n")
    with pytest.raises(SourceError, match=r"a\.txt: line 1: a box without an outline, and 1 more .*--boxes masks"):
        maskzoo.convert_dataset(source, source / "coco")
    first, _ = read_yolo(source, ImportOptions(boxes="masks"))["train"].annotations
    assert first["segmentation"] == [[10, 5, 30, 5, 30, 15, 10, 15]] and first["bbox"] == [10, 5, 20, 10]


def test_labels_beside_the_pictures_are_found_and_none_at_all_are_an_error(source):
    for path in sorted(source.glob("labels/*/*.txt")):
        path.rename(source / "images" / path.relative_to(source / "labels"))
    assert len(read_yolo(source, ImportOptions())["train"].annotations) == 2
    for path in source.glob("images/*/*.txt"):
        path.unlink()
    with pytest.raises(SourceError, match=r"labels/train/a\.txt: no such file, and none .* other of 3 pictures"):
        read_yolo(source, ImportOptions())


def test_labels_without_a_picture_and_damaged_pictures_are_named(source):
    (source / "labels/val/gone.txt").write_text(TRIANGLE)
    (source / "images/val/torn.png").write_bytes((source / "images/val/c.png").read_bytes()[:40])
    skipped = read_yolo(source, ImportOptions())["val"].skipped
    assert {row.file.rsplit("/", 1)[-1] for row in skipped} == {"gone.txt", "torn.png"}


def test_a_list_file_names_pictures_and_may_not_lead_out(source):
    (source / "data.yaml").write_text("train: train.txt\nnames: [cat, dog]\n")
    (source / "train.txt").write_text("./images/train/a.png\n\nimages/val/c.png\n")
    assert [path.name for path in read_yolo(source, ImportOptions())["train"].pictures] == ["a.png", "c.png"]
    (source / "train.txt").write_text("images/train/a.png\n../../secret.png\n")
    with pytest.raises(SourceError, match=r"train\.txt: line 2: found '\.\./\.\./secret\.png'"):
        read_yolo(source, ImportOptions())


def test_an_export_that_writes_a_path_from_elsewhere_is_found_beside_its_data_file(tmp_path):
    save(tmp_path / "train" / "images" / "a.png")
    (tmp_path / "train" / "labels").mkdir()
    (tmp_path / "train/labels/a.txt").write_text(TRIANGLE)
    (tmp_path / "data.yaml").write_text("train: ../train/images\nnames: [cat, dog]\nnc: 2\n")
    assert len(read_yolo(tmp_path, ImportOptions())["train"].annotations) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("names: !!python/object/apply:os.system ['true']\n", "not valid YAML"),
        ("a: &a [x]\nnames: *a\n", "alias"),
        ("names: [cat\n", "not valid YAML"),
        ("- cat\n", "expected a mapping"),
        ("names: {0: cat, 2: dog}\ntrain: images/train\n", "expected a list of names"),
        ("names: [cat]\n", "names no pictures"),
        ("names: [cat]\ntrain: nowhere\n", "nowhere"),
        ("names: [cat]\ntrain: 7\n", "expected a folder"),
    ],
)
def test_a_data_file_that_is_not_one_is_refused_with_its_name(source, text, said):
    (source / "data.yaml").write_text(text)
    with pytest.raises(SourceError, match=r"data\.yaml") as caught:
        read_yolo(source, ImportOptions())
    assert said in str(caught.value)


def test_folders_alone_need_the_names_of_classes(source):
    (source / "data.yaml").unlink()
    with pytest.raises(SourceError, match="--classes"):
        read_yolo(source, ImportOptions())
    assert list(read_yolo(source, ImportOptions(["cat", "dog"]))) == ["train", "val"]
    (source / "classes.txt").write_text("cat\ndog\n")
    assert read_yolo(source, ImportOptions())["val"].names == ["cat", "dog"]


def test_sizes_are_those_of_the_picture_turned_upright(source):
    exif = Image.Exif()
    exif[0x0112] = 6
    save(source / "images/val/c.jpg", size=(40, 20), exif=exif)
    (source / "images/val/c.png").unlink()
    draft = read_yolo(source, ImportOptions())["val"]
    assert draft.sizes == [(40, 20)]
    assert draft.annotations[0]["bbox"] == [2, 8, 8, 16]
