"""Objects cut out of their pictures: the pixels inside the mask, nothing around it."""

import csv

import numpy as np
from PIL import Image

from labelled_sets import make_masks, write_set
from maskzoo.datasets.importers.convert import convert_dataset


def read_table(folder):
    with (folder / "cutouts.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_cutout_has_the_pictures_pixels_inside_the_mask_and_none_around_it(tmp_path):
    mask = make_masks()["ring"]
    file = write_set(tmp_path / "set", {"in/a.png": [(mask, 2, {"score": 0.75}), (make_masks()["blob"], 0, {})]})
    photo = np.random.default_rng(0).integers(1, 255, (40, 60, 3), np.uint8)
    Image.fromarray(photo).save(tmp_path / "set/in/a.png")
    convert_dataset(file, tmp_path / "out", to="cutouts")
    first, second = read_table(tmp_path / "out")
    assert (first["file"], first["class"], first["score"]) == ("big tree/in/a-1.png", "big tree", "0.75")
    assert second["file"] == "cat/in/a-2.png"
    cut = np.asarray(Image.open(tmp_path / "out" / first["file"]))
    x, y = int(first["x"]), int(first["y"])
    part = np.s_[y : y + int(first["height"]), x : x + int(first["width"])]
    assert cut.shape == (14, 18, 4) and np.array_equal(cut[..., 3], mask[part] * 255)
    assert np.array_equal(cut[..., :3], photo[part] * mask[part][..., None])


def test_names_of_classes_become_names_of_folders_that_stay_apart(tmp_path):
    blob = make_masks()["blob"]
    pictures = {"a.png": [(blob, label, {}) for label in range(4)]}
    convert_dataset(write_set(tmp_path / "set", pictures, names=("a/b", "A:B", "..", "ok")), tmp_path / "out", to="cutouts")
    files = [row["file"] for row in read_table(tmp_path / "out")]
    assert files == ["a_b/a-1.png", "A_B-1/a-2.png", "_/a-3.png", "ok/a-4.png"]
    assert all((tmp_path / "out" / name).is_file() for name in files)


def test_pictures_that_are_not_there_or_have_another_size_are_told(tmp_path):
    blob = make_masks()["blob"]
    file = write_set(tmp_path / "set", {"a.png": [(blob, 0, {})], "b.png": [(blob, 0, {})], "c.png": [(blob, 0, {})]})
    (tmp_path / "set/a.png").unlink()
    Image.new("RGB", (9, 9)).save(tmp_path / "set/b.png")
    made = convert_dataset(file, tmp_path / "out", to="cutouts")
    assert made.lost["unread"] == 2 and len(read_table(tmp_path / "out")) == 1
    assert any("a.png: its file is not there" in note for note in made.notes)
    assert any("9 x 9 pixels, not 60 x 40" in note for note in made.notes)
