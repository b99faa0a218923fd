"""Masks of 16 bits and the table of what each number is."""

import csv
import json

import numpy as np
from PIL import Image

from labelled_sets import make_pictures, write_set
from maskzoo.datasets.importers.convert import convert_dataset


def test_each_number_of_a_mask_stands_in_the_table(tmp_path):
    pictures = make_pictures()
    file = write_set(tmp_path / "set", pictures)
    convert_dataset(file, tmp_path / "out", to="masks")
    with (tmp_path / "out/objects.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 11
    house = next(row for row in rows if row["class"] == "dog" and row["mask"] == "in/b.png")
    assert json.loads(house["attributes"]) == {"colour": "red & <blue>", "age": 3} and house["id"] == "106"
    (crowd,) = [row for row in rows if row["iscrowd"] == "1"]
    with Image.open(tmp_path / "out/masks" / crowd["mask"]) as picture:
        assert picture.mode == "I;16"
        numbers = np.asarray(picture)
    assert np.array_equal(numbers == int(crowd["number"]), pictures["c.png"][0][0] > 0)
    assert (tmp_path / "out/images/in/b.jpg").is_symlink()


def test_more_objects_than_8_bits_hold_are_kept(tmp_path):
    objects = []
    for place in range(300):
        mask = np.zeros((40, 60), np.uint8)
        mask.flat[4 * place] = 1
        objects.append((mask, 0, {}))
    made = convert_dataset(write_set(tmp_path / "set", {"a.png": objects}), tmp_path / "out", to="masks")
    with Image.open(tmp_path / "out/masks/a.png") as picture:
        assert np.asarray(picture).max() == 300
    assert "surplus" not in made.lost
