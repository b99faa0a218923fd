"""Pictures whose pixels are classes."""

import numpy as np
from PIL import Image

from labelled_sets import make_masks, write_set
from maskzoo.datasets.importers.convert import convert_dataset


def test_a_pixel_is_the_class_whose_line_has_its_number(tmp_path):
    masks = make_masks()
    objects = [(masks["ring"], 0, {}), (masks["blob"], 2, {}), (masks["blob"], 2, {}), (masks["parts"], 1, {})]
    made = convert_dataset(write_set(tmp_path / "set", {"in/a.png": objects, "b.png": []}), tmp_path / "out", to="class_masks")
    assert (tmp_path / "out/class_names.txt").read_text().split("\n")[:4] == ["_background_", "cat", "dog", "big tree"]
    with Image.open(tmp_path / "out/masks/in/a.png") as picture:
        assert picture.mode == "P"
        numbers = np.asarray(picture)
    for number, name in ((1, "ring"), (3, "blob"), (2, "parts")):
        assert np.array_equal(numbers == number, masks[name] > 0)
    assert not np.asarray(Image.open(tmp_path / "out/masks/b.png")).any()
    assert "pixels" not in made.lost and (tmp_path / "out/images/in/a.png").is_symlink()


def test_pixels_under_another_class_are_counted_and_many_classes_have_16_bits(tmp_path):
    masks, names = make_masks(), [f"class {number}" for number in range(300)]
    inner = masks["blob"].copy()
    inner[:24] = 0
    file = write_set(tmp_path / "set", {"a.png": [(masks["blob"], 299, {}), (inner, 4, {})]}, names=names)
    made = convert_dataset(file, tmp_path / "out", to="class_masks")
    assert made.lost["pixels"] == inner.sum()
    with Image.open(tmp_path / "out/masks/a.png") as picture:
        assert picture.mode == "I;16" and set(np.unique(np.asarray(picture))) == {0, 5, 300}
