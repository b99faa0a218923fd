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


def test_nothing_found_is_an_error_that_says_what_was_looked_for(tmp_path):
    with pytest.raises(SourceError, match=r"looked for .*instances_train.*found no JSON file"):
        find_splits(tmp_path)
    (tmp_path / "labelme.json").write_text('{"shapes": []}')
    (tmp_path / "empty.json").touch()
    with pytest.raises(SourceError, match=r"found empty.json, labelme.json, no COCO instances file.*data convert"):
        find_splits(tmp_path)
    with pytest.raises(SourceError, match="no such file or folder"):
        find_splits(Path("nowhere") / "at all")
