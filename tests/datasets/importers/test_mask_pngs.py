"""Mask PNGs become outlines that are exactly the masks."""

import hotcoco.mask
import numpy as np
import pytest
from PIL import Image

from maskzoo.datasets.importers.builder import ImportOptions
from maskzoo.datasets.importers.mask_pngs import read_mask_pngs, read_numbers, trace_objects
from maskzoo.errors import ImageError, SourceError


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def make_numbers(dtype=np.uint8):
    numbers = np.zeros((20, 30), dtype)
    numbers[2:8, 3:12] = 1
    numbers[4:6, 5:7] = 0
    numbers[10:18, 4:6] = numbers[10:18, 9:11] = 2
    numbers[0, 29] = np.iinfo(dtype).max
    return numbers


def rasterize(row, size=(20, 30)):
    return hotcoco.mask.decode(hotcoco.mask.merge(hotcoco.mask.frPyObjects(row["segmentation"], *size)))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_each_number_is_an_object_with_exactly_its_pixels(tmp_path, dtype):
    numbers = make_numbers(dtype)
    save(tmp_path / "PNGImages/one.png", np.zeros((20, 30, 3), np.uint8))
    save(tmp_path / "PedMasks/one_mask.png", numbers)
    draft = read_mask_pngs(tmp_path, ImportOptions(["person"]))[""]
    assert draft.skipped == [] and list(draft.names) == ["person"]
    for row, number in zip(draft.annotations, (1, 2, np.iinfo(dtype).max), strict=True):
        assert np.array_equal(rasterize(row), numbers == number)
        assert row["area"] == (numbers == number).sum()
    assert [len(row["segmentation"]) for row in draft.annotations] == [1, 2, 1]
    assert draft.annotations[0]["bbox"] == [3, 2, 9, 6]


def test_pictures_and_masks_that_do_not_pair_are_named(tmp_path):
    photo = np.zeros((20, 30, 3), np.uint8)
    for name in ("good", "alone", "turned", "coloured", "torn"):
        save(tmp_path / f"images/{name}.jpg", photo)
    save(tmp_path / "masks/good.png", make_numbers())
    save(tmp_path / "masks/turned.png", make_numbers().T.copy())
    save(tmp_path / "masks/coloured.png", photo)
    save(tmp_path / "masks/orphan.png", make_numbers())
    (tmp_path / "masks/torn.png").write_bytes((tmp_path / "masks/good.png").read_bytes()[:60])
    draft = read_mask_pngs(tmp_path, ImportOptions())[""]
    assert [path.name for path in draft.pictures] == ["good.jpg"] and list(draft.names) == ["object"]
    reasons = {row.file.rsplit("/", 1)[-1]: row.reason for row in draft.skipped}
    assert sorted(reasons) == ["alone.jpg", "coloured.png", "orphan.png", "torn.png", "turned.png"]
    assert "no mask" in reasons["alone.jpg"] and "20 x 30" in reasons["turned.png"] and "colours" in reasons["coloured.png"]


def test_folders_of_splits_are_splits(tmp_path):
    for split in ("train", "val"):
        save(tmp_path / split / "images/a.png", np.zeros((20, 30, 3), np.uint8))
        save(tmp_path / split / "masks/a.png", make_numbers())
    assert {split: len(draft.annotations) for split, draft in read_mask_pngs(tmp_path, ImportOptions()).items()} == {
        "train": 3,
        "val": 3,
    }


def test_masks_cannot_be_of_two_classes_and_need_their_folders(tmp_path):
    with pytest.raises(SourceError, match="no folder of pictures"):
        read_mask_pngs(tmp_path, ImportOptions())
    with pytest.raises(SourceError, match="expected one name"):
        read_mask_pngs(tmp_path, ImportOptions(["a", "b"]))


def test_a_file_that_is_no_png_is_refused_with_its_name(tmp_path):
    (tmp_path / "a.png").write_bytes(b"text")
    with pytest.raises(ImageError, match=r"a\.png: cannot be read as PNG"):
        read_numbers(tmp_path / "a.png", (20, 30))


def test_objects_come_by_rising_number_without_those_ignored():
    numbers = np.array([[3, 0, 255], [1, 1, 3]])
    found = list(trace_objects(numbers, (255,)))
    assert [one.number for one in found] == [1, 3]
    assert found[0].pixels.tolist() == [3, 4] and len(found[1].polygons) == 2
