"""LabelMe's files: what a person and X-AnyLabeling see of an object."""

import json

from labelled_sets import make_masks, make_pictures, write_set
from maskzoo.datasets.importers.convert import convert_dataset


def test_parts_share_a_group_and_attributes_are_kept(tmp_path):
    file = write_set(tmp_path / "set", make_pictures())
    made = convert_dataset(file, tmp_path / "out", to="labelme")
    content = json.loads((tmp_path / "out/in/b.json").read_text())
    assert content.keys() == {"version", "flags", "shapes", "imagePath", "imageData", "imageHeight", "imageWidth"}
    assert content["imagePath"] == "b.jpg" and (content["imageHeight"], content["imageWidth"]) == (40, 60)
    house, ring, *trees = content["shapes"]
    assert house["label"] == "dog" and house["attributes"] == {"colour": "red & <blue>", "age": 3}
    assert house["points"] == [[20.5, 30], [30.25, 30], [30.25, 38.5], [25, 35], [20.5, 38.5]]
    assert house["group_id"] is None and ring["group_id"] is None and "score" not in house
    assert [tree["group_id"] for tree in trees] == [108, 108]
    (crowd,) = [s for s in json.loads((tmp_path / "out/c.json").read_text())["shapes"] if s["label"] == "cat"]
    assert crowd["attributes"] == {"iscrowd": True}
    assert (tmp_path / "out/labels.txt").read_text() == "cat\ndog\nbig tree\n"
    assert made.notes == (f"Open them with: labelme {tmp_path}/out --labels {tmp_path}/out/labels.txt",)


def test_without_pictures_beside_them_files_name_where_these_are(tmp_path):
    file = write_set(tmp_path / "set", make_pictures())
    convert_dataset(file, tmp_path / "out", to="labelme", pictures="none")
    assert json.loads((tmp_path / "out/in/b.json").read_text())["imagePath"] == "../../set/in/b.jpg"
    assert not (tmp_path / "out/a.png").exists()


def test_splits_are_folders(tmp_path):
    mask = make_masks()["blob"]
    write_set(tmp_path / "set", {"a.png": [(mask, 0, {})]}, file="train.json")
    write_set(tmp_path / "set", {"b.png": [(mask, 1, {})]}, file="val.json")
    made = convert_dataset(tmp_path / "set", tmp_path / "out", to="labelme")
    assert {split: part.file for split, part in made.splits.items()} == {
        "train": tmp_path / "out/train",
        "val": tmp_path / "out/val",
    }
    assert (tmp_path / "out/val/b.json").is_file() and (tmp_path / "out/val/b.png").is_symlink()
