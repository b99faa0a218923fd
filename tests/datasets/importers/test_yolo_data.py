"""What a YOLO data set says of itself: classes and pictures, wherever a tool has put them, and what is not there is told."""

import pytest

from maskzoo.datasets.importers.yolo_data import read_data
from maskzoo.errors import SourceError

PICTURES = ["train/images/a.png", "train/images/b.png", "valid/images/c.png"]


def make(folder, text="", pictures=PICTURES, **files):
    folder.mkdir(exist_ok=True)
    for name in pictures:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    if text:
        (folder / "data.yaml").write_text(text + ("" if "names" in text else "names: [cat, dog]\n"))
    for name, content in files.items():
        (folder / name.replace("_", ".", 1)).write_text(content)
    return folder


def count(data):
    return {split: len(paths) for split, paths in data.splits.items()}


@pytest.mark.parametrize(
    "text",
    [
        "train: ../train/images\nval: ../valid/images\n",
        "train: train/images\nval: valid/images\n",
        "train: train/images\nvalid: valid/images\n",
        "train: [train/images]\nval: [valid/images]\n",
    ],
)
def test_a_missing_test_split_is_told_and_the_others_are_read(tmp_path, text):
    data = read_data(make(tmp_path, text + "test: ../test/images\n"))
    assert count(data) == {"train": 2, "val": 1}
    assert len(data.notes) == 1 and data.notes[0].endswith("test is '../test/images', which is not there; test was left out")
    assert read_data(make(tmp_path, text)).notes == []


@pytest.mark.parametrize(
    "text",
    [
        "train: cars-3/train/images\nval: cars-3/valid/images\n",
        "path: /kaggle/input/cars\ntrain: /kaggle/input/cars/train/images\nval: /kaggle/input/cars/valid/images\n",
        "path: ../datasets/cars\ntrain: train/images\nval: valid/images\n",
        "train: D:\\data\\cars\\train\\images\nval: D:\\data\\cars\\valid\\images\n",
        "train: /content/train/cars/train/images\nval: /content/train/cars/val/images\n",
    ],
)
def test_paths_of_another_place_are_followed_beside_the_data_file_and_that_is_told(tmp_path, text):
    data = read_data(make(tmp_path, text))
    assert count(data) == {"train": 2, "val": 1}
    assert data.notes and all("which is not there; took " in note for note in data.notes)


def test_a_path_never_ends_in_a_folder_of_another_split(tmp_path):
    make(tmp_path, "train: train/images\nval: elsewhere/val/images\n", ["train/images/a.png", "images/b.png"])
    data = read_data(tmp_path)
    assert count(data) == {"train": 1} and "val was left out" in data.notes[0]


def test_a_missing_train_split_is_an_error(tmp_path):
    make(tmp_path, "train: nowhere/images\nval: valid/images\n")
    with pytest.raises(SourceError, match=r"train is 'nowhere/images'; expected a folder or list file, looked for .*correct"):
        read_data(tmp_path)


def test_a_list_of_pictures_that_are_not_there_is_called_so(tmp_path):
    make(tmp_path, "train: train.txt\n", train_txt="./pictures/x.png\n/home/me/y.png\n")
    with pytest.raises(
        SourceError, match=r"train\.txt: of 2 pictures that it names, none is there: line 1: './pictures/x.png'"
    ):
        read_data(tmp_path)


def test_a_list_written_elsewhere_is_followed_by_its_last_parts_and_single_missing_pictures_stay(tmp_path):
    lines = "data/train/images/a.png\n/home/me/set/train/images/b.png\ntrain/images/gone.png\n"
    data = read_data(make(tmp_path, "train: train.txt\n", train_txt=lines))
    assert [path.name for path in data.splits["train"]] == ["a.png", "b.png", "gone.png"]
    assert "2 pictures not where it says, found by the last parts of the paths" in data.notes[0]


def test_darknets_files_as_cvat_writes_them_are_read(tmp_path):
    make(tmp_path, pictures=["obj_train_data/a.png", "obj_train_data/b.png"])
    (tmp_path / "obj.data").write_text("classes = 2\ntrain = data/train.txt\nnames = data/obj.names\nbackup = backup/\n")
    (tmp_path / "obj.names").write_text("cat\ndog\n")
    (tmp_path / "train.txt").write_text("data/obj_train_data/a.png\ndata/obj_train_data/b.png\n")
    data = read_data(tmp_path)
    assert data.names == ["cat", "dog"] and count(data) == {"train": 2}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("names: [cat, 7]\n", ["cat", "7"]),
        ("names: {1: dog, 0: cat}\n", ["cat", "dog"]),
        ("names: {'0': cat, '1': dog}\n", ["cat", "dog"]),
        ("names: obj.names\n", ["one", "two"]),
        ("names: /elsewhere/obj.names\n", ["one", "two"]),
    ],
)
def test_names_are_a_list_a_table_or_a_file(tmp_path, text, names):
    (tmp_path / "obj.names").write_text("one\ntwo\n")
    assert read_data(make(tmp_path, "train: train/images\n" + text)).names == names


def test_names_that_are_missing_are_taken_from_a_list_beside_the_data_and_never_guessed(tmp_path):
    make(tmp_path)
    assert read_data(tmp_path).names is None
    (tmp_path / "train" / "labels").mkdir()
    (tmp_path / "train/labels/classes.txt").write_text("cat\ndog\n")
    assert read_data(tmp_path).names == ["cat", "dog"]
    (tmp_path / "classes.txt").write_text("dog\ncat\n")
    with pytest.raises(SourceError, match=r"lists of classes disagree: classes.txt, train/labels/classes.txt; .*--classes"):
        read_data(tmp_path)
    assert read_data(tmp_path, ["cat", "dog"]).names == ["cat", "dog"]


def test_an_empty_line_in_a_list_of_classes_is_not_guessed_about(tmp_path):
    make(tmp_path)
    (tmp_path / "classes.txt").write_text("cat\n\ndog\n\n")
    with pytest.raises(SourceError, match=r"classes\.txt: line 2 is empty"):
        read_data(tmp_path)
    (tmp_path / "classes.txt").write_text("cat\ndog\n\n \n")
    assert read_data(tmp_path).names == ["cat", "dog"]


def test_names_of_a_file_that_is_not_there_and_another_count_are_told(tmp_path):
    with pytest.raises(SourceError, match=r"names is 'gone.names'; expected a list"):
        read_data(make(tmp_path, "train: train/images\nnames: gone.names\n"))
    data = read_data(make(tmp_path, "train: train/images\nnames: [cat]\nnc: 3\n"))
    assert data.names == ["cat"] and "nc is 3, but there are 1 name; took the names" in data.notes[0]


def test_folders_that_are_links_are_walked_once_and_links_copied_as_text_are_followed(tmp_path):
    make(tmp_path / "store", pictures=["part/images/a.png", "part/images/b.png"])
    make(tmp_path / "set", "train: images/train\n", pictures=[])
    (tmp_path / "set/images/train").mkdir(parents=True)
    link = tmp_path / "set/images/train/part"
    link.symlink_to("../../../store/part/images")
    (tmp_path / "store/part/images/again").symlink_to(tmp_path / "set/images")
    data = read_data(tmp_path / "set")
    assert count(data) == {"train": 2} and data.notes == []
    link.unlink()
    link.write_text("../../../store/part/images")
    data = read_data(tmp_path / "set")
    assert count(data) == {"train": 2} and "a link that was copied as text" in data.notes[0]
    link.write_text("no link\nat all")
    data = read_data(tmp_path / "set")
    assert count(data) == {"train": 0} and "no picture lies there" in data.notes[0]


def test_folders_alone_are_splits_by_their_names(tmp_path):
    assert count(read_data(make(tmp_path / "a"))) == {"train": 2, "val": 1}
    assert count(read_data(make(tmp_path / "b", pictures=["images/training/a.png", "images/testing/b.png"]))) == {
        "train": 1,
        "test": 1,
    }
    assert count(read_data(make(tmp_path / "c", pictures=["images/a.png"]))) == {"": 1}
    assert count(read_data(make(tmp_path / "d", pictures=["a.png", "b.png"]))) == {"": 2}
