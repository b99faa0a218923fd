"""Which annotation file is which split's, in the usual layouts of a folder."""

from pathlib import Path

import pytest

from coco_files import make_data, write
from maskzoo.datasets.layout import find_splits, name_split
from maskzoo.errors import SourceError


def make_files(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write(folder / name, make_data(images=1))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (
            ["annotations/instances_val2017.json", "annotations/instances_train2017.json"],
            {"train": "annotations/instances_train2017.json", "val": "annotations/instances_val2017.json"},
        ),
        (
            ["annotations/train.json", "annotations/test.json"],
            {"train": "annotations/train.json", "test": "annotations/test.json"},
        ),
        (["train.json", "validation.json"], {"train": "train.json", "val": "validation.json"}),
        (
            ["train/_annotations.coco.json", "valid/_annotations.coco.json", "test/_annotations.coco.json"],
            {
                "train": "train/_annotations.coco.json",
                "val": "valid/_annotations.coco.json",
                "test": "test/_annotations.coco.json",
            },
        ),
        (["train/annotations.json"], {"train": "train/annotations.json"}),
        (["instances_train2017.json"], {"train": "instances_train2017.json"}),
        (["annotations.json"], {"train": "annotations.json"}),
        (["annotations/all.json"], {"train": "annotations/all.json"}),
        (
            ["annotations/instance_train.json", "annotations/instance_val.json"],  # PaddleDetection's x2coco
            {"train": "annotations/instance_train.json", "val": "annotations/instance_val.json"},
        ),
        (["labels.json"], {"train": "labels.json"}),  # FiftyOne
        (["train/labels.json", "validation/labels.json"], {"train": "train/labels.json", "val": "validation/labels.json"}),
        (
            ["train/annotation_coco.json", "val/annotation_coco.json"],  # mmdetection's balloons
            {"train": "train/annotation_coco.json", "val": "val/annotation_coco.json"},
        ),
        (
            ["set/annotations/instances_train.json", "set/annotations/instances_test.json"],  # one folder deeper
            {"train": "set/annotations/instances_train.json", "test": "set/annotations/instances_test.json"},
        ),
        (
            ["train/annotations/coco.json", "test/annotations/coco.json"],
            {"train": "train/annotations/coco.json", "test": "test/annotations/coco.json"},
        ),
        (
            ["images/train/_annotations.coco.json", "images/valid/_annotations.coco.json"],
            {"train": "images/train/_annotations.coco.json", "val": "images/valid/_annotations.coco.json"},
        ),
        (["export/v2/project-coco.json"], {"train": "export/v2/project-coco.json"}),  # Labelbox: one file, any name
    ],
)
def test_the_usual_layouts_are_known(tmp_path, files, expected):
    make_files(tmp_path, *files)
    found = find_splits(tmp_path)
    assert {split: path.relative_to(tmp_path).as_posix() for split, path in found.items()} == expected
    assert list(found) == list(expected)


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("my_val_set.json", "val"),
        ("test-dev2017.json", "test"),
        ("anything.json", "train"),
        ("trainval.json", "train"),
        ("valid/_annotations.coco.json", "val"),
    ],
)
def test_one_file_is_the_split_that_its_name_or_folder_says_or_train(tmp_path, name, split):
    make_files(tmp_path, name)
    assert find_splits(str(tmp_path / name)) == {split: tmp_path / name}


def test_a_word_inside_another_says_nothing():
    assert [name_split(name) for name in ("trains.json", "value.json", "train_val.json")] == [None, None, None]
    assert name_split("Training2.json") == "train"
    assert name_split("my_train", whole=True) is None


def test_files_of_other_kinds_and_results_beside_them_do_not_disturb(tmp_path):
    make_files(tmp_path, "annotations/instances_val2017.json", "annotations/person_keypoints_val2017.json")
    (tmp_path / "annotations" / "captions_val2017.json").write_text("{}")
    (tmp_path / "annotations" / "val_results.json").write_text("[]")
    (tmp_path / "settings.json").write_text("{}")
    assert find_splits(tmp_path) == {"val": tmp_path / "annotations" / "instances_val2017.json"}


def test_what_was_predicted_into_the_folder_of_the_images_is_no_data_set(tmp_path):
    """`maskzoo predict MODEL my-data/val --out my-data/val` leaves an index of images in COCO's form there."""
    make_files(tmp_path, "val.json", "val/images.json")
    (tmp_path / "val" / "predictions.json").write_text("[]")
    assert find_splits(tmp_path) == {"val": tmp_path / "val.json"}
    (tmp_path / "val" / "predictions.json").unlink()
    with pytest.raises(SourceError, match="2 annotation files for val"):
        find_splits(tmp_path)


def test_a_damaged_file_is_found_if_its_name_says_its_split(tmp_path):
    (tmp_path / "train.json").write_text('{"images": [')
    assert find_splits(tmp_path) == {"train": tmp_path / "train.json"}


def test_two_files_for_one_split_are_an_error_that_names_both(tmp_path):
    make_files(tmp_path, "train.json", "annotations/instances_train2017.json")
    with pytest.raises(SourceError, match=r"2 annotation files for train: train.json, annotations/instances_train2017.json"):
        find_splits(tmp_path)


def test_several_files_that_say_nothing_are_an_error_that_names_them(tmp_path):
    make_files(tmp_path, "a.json", "b.json")
    with pytest.raises(SourceError, match=r"no name says which is train, val or test: a.json, b.json"):
        find_splits(tmp_path)


def test_nothing_found_is_an_error_that_says_what_was_looked_for_and_what_lies_there(tmp_path):
    with pytest.raises(SourceError, match=r"looked for .*instances_train.*found no JSON file: the folder is empty"):
        find_splits(tmp_path)
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.jpg").touch()
    with pytest.raises(SourceError, match=r"found 1 file \(.jpg\), pictures without annotations"):
        find_splits(tmp_path)
    (tmp_path / "valid" / "more").mkdir(parents=True)
    (tmp_path / "valid" / "more" / "settings.json").write_text('{"a": 1}')
    (tmp_path / "empty.json").touch()
    with pytest.raises(SourceError, match=r"found empty.json, valid/more/settings.json, no COCO instances file.*data convert"):
        find_splits(tmp_path)
    with pytest.raises(SourceError, match="no such file or folder"):
        find_splits(Path("nowhere") / "at all")


def test_key_points_are_passed_over_on_purpose_and_that_is_said(tmp_path):
    make_files(tmp_path, "annotations/person_keypoints_train2017.json")
    with pytest.raises(SourceError, match=r"on purpose: annotations/person_keypoints_train2017.json.*name the file itself"):
        find_splits(tmp_path)
    file = tmp_path / "annotations/person_keypoints_train2017.json"
    assert find_splits(file) == {"train": file}


def test_panoptic_and_captions_alone_are_called_by_their_names(tmp_path):
    (tmp_path / "captions_val2017.json").write_text('{"images": [], "annotations": [{"image_id": 1, "caption": "A cat."}]}')
    with pytest.raises(SourceError, match=r"captions_val2017.json is COCO captions: sentences, no outlines; take COCO's inst"):
        find_splits(tmp_path)
    (tmp_path / "captions_val2017.json").unlink()
    write(tmp_path / "panoptic_val2017.json", make_data() | {"annotations": [{"image_id": 1, "segments_info": []}]})
    with pytest.raises(SourceError, match=r"panoptic_val2017.json is COCO panoptic; convert it first"):
        find_splits(tmp_path)


@pytest.mark.parametrize("name", ["via_region_data.json", "train.json", "train/via_region_data.json", "a/b/c/labels.json"])
def test_another_format_is_called_by_its_name_wherever_it_lies(tmp_path, name):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text('{"a.jpg1": {"filename": "a.jpg", "regions": [{"shape_attributes": {}}]}}')
    with pytest.raises(SourceError, match=r"is VIA's format; convert it first: maskzoo data convert"):
        find_splits(tmp_path)
    with pytest.raises(SourceError, match=r"this is VIA's format"):
        find_splits(tmp_path / name)


def test_a_file_too_deep_and_hidden_ones_are_not_found(tmp_path):
    make_files(tmp_path, "a/b/c/d/instances_train.json", ".old/instances_train.json")
    with pytest.raises(SourceError, match="found no JSON file"):
        find_splits(tmp_path)


def test_links_in_a_circle_are_walked_once(tmp_path):
    make_files(tmp_path, "set/annotations/instances_train.json")
    (tmp_path / "set" / "again").symlink_to(tmp_path / "set")
    assert find_splits(tmp_path) == {"train": tmp_path / "set/annotations/instances_train.json"}
