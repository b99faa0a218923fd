"""YOLO's files: rows of numbers, a data.yaml that its trainers read."""

import numpy as np
import yaml

from labelled_sets import make_masks, make_pictures, write_set
from maskzoo.datasets.importers.convert import convert_dataset


def test_every_object_is_one_row_of_parts_of_the_picture(tmp_path):
    file = write_set(tmp_path / "set", make_pictures())
    made = convert_dataset(file, tmp_path / "out", to="yolo")
    rows = (tmp_path / "out/labels/train/in/b.txt").read_text().splitlines()
    assert [row.split()[0] for row in rows] == ["1", "0", "2"]
    points = np.array(rows[0].split()[1:], float).reshape(-1, 2)
    assert np.allclose(points * (60, 40), [[20.5, 30], [30.25, 30], [30.25, 38.5], [25, 35], [20.5, 38.5]])
    for path in (tmp_path / "out/labels").rglob("*.txt"):
        numbers = [float(text) for row in path.read_text().splitlines() for text in row.split()[1:]]
        assert all(0 <= number <= 1 for number in numbers)
    assert (tmp_path / "out/labels/train/empty.txt").read_text() == ""
    assert yaml.safe_load((tmp_path / "out/data.yaml").read_text()) == {
        "train": "images/train",
        "names": {0: "cat", 1: "dog", 2: "big tree"},
    }
    assert any("has no val" in note for note in made.notes)


def test_splits_stand_in_the_data_file(tmp_path):
    mask = make_masks()["blob"]
    write_set(tmp_path / "set", {"a.png": [(mask, 0, {})]}, file="train.json", names=("猫", "a: b"))
    write_set(tmp_path / "set", {"b.png": [(mask, 1, {})]}, file="val.json", names=("猫", "a: b"))
    made = convert_dataset(tmp_path / "set", tmp_path / "out", to="yolo")
    content = yaml.safe_load((tmp_path / "out/data.yaml").read_text())
    assert content == {"train": "images/train", "val": "images/val", "names": {0: "猫", 1: "a: b"}}
    assert made.notes == ()
    assert convert_dataset(tmp_path / "out", tmp_path / "back", format="yolo").classes == ("猫", "a: b")
