"""Mask PNGs become outlines that are exactly the masks."""

import hotcoco.mask
import numpy as np
import pytest
from PIL import Image

from maskzoo.datasets.importers.builder import ImportOptions
from maskzoo.datasets.importers.mask_folders import is_mask_pngs
from maskzoo.datasets.importers.mask_pngs import read_mask_pngs
from maskzoo.errors import SourceError


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


@pytest.mark.parametrize("name", ["a1_mask.tif", "a1.TIF", "a1.bmp", "a1_masks.PNG", "a1.npy", "a1.JPG.png", "a1_gt.gif"])
def test_a_mask_is_found_whatever_kind_of_picture_it_is(tmp_path, name):
    save(tmp_path / "images/a1.JPG", np.zeros((20, 30, 3), np.uint8))
    (tmp_path / "masks").mkdir()
    if name.endswith("npy"):
        np.save(tmp_path / "masks" / name, make_numbers(np.int32))
    else:
        save(tmp_path / "masks" / name, make_numbers())
    draft = read_mask_pngs(tmp_path, ImportOptions())[""]
    assert draft.skipped == [] and len(draft.annotations) == 3


def test_each_colour_is_an_object_and_transparent_pixels_are_none(tmp_path):
    colours = np.zeros((20, 30, 4), np.uint8)
    colours[..., 3] = 255
    colours[2:8, 3:12, :3] = (200, 10, 0)
    colours[9:15, 3:12, :3] = (0, 10, 200)
    colours[9:15, 10:12, 3] = 0
    save(tmp_path / "images/a.png", np.zeros((20, 30, 3), np.uint8))
    save(tmp_path / "masks/a.png", colours)
    draft = read_mask_pngs(tmp_path, ImportOptions())[""]
    assert [row["bbox"] for row in draft.annotations] == [[3, 9, 7, 6], [3, 2, 9, 6]]


def test_pictures_and_masks_that_do_not_pair_are_named(tmp_path):
    photo = np.zeros((20, 30, 3), np.uint8)
    for name in ("good", "alone", "turned", "coloured", "torn"):
        save(tmp_path / f"images/{name}.jpg", photo)
    save(tmp_path / "masks/good.png", make_numbers())
    save(tmp_path / "masks/turned.png", make_numbers().T.copy())
    Image.fromarray(photo).convert("CMYK").save(tmp_path / "masks/coloured.tif")
    save(tmp_path / "masks/orphan.png", make_numbers())
    (tmp_path / "masks/torn.png").write_bytes((tmp_path / "masks/good.png").read_bytes()[:60])
    draft = read_mask_pngs(tmp_path, ImportOptions())[""]
    assert [path.name for path in draft.pictures] == ["good.jpg"] and list(draft.names) == ["object"]
    reasons = {row.file.rsplit("/", 1)[-1]: row.reason for row in draft.skipped}
    assert sorted(reasons) == ["alone.jpg", "coloured.tif", "orphan.png", "torn.png", "turned.png"]
    assert "no mask" in reasons["alone.jpg"] and "20 x 30" in reasons["turned.png"] and "CMYK" in reasons["coloured.tif"]


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


def make_binary(parts):
    mask = np.zeros((20, 30), np.uint8)
    for part in range(parts):
        mask[2 + 6 * part : 6 + 6 * part, 3:12] = 255
    return mask


def make_set(folder, masks):
    for place, mask in enumerate(masks):
        save(folder / f"images/{place}.png", np.zeros((*mask.shape[:2], 3), np.uint8))
        save(folder / f"masks/{place}.png", mask)
    return folder


def test_whether_separate_parts_of_one_number_are_one_object_is_asked_and_not_guessed(tmp_path):
    source = make_set(tmp_path, [make_binary(1), make_binary(3)])
    with pytest.raises(
        SourceError, match=r"1\.png: has 3 separate parts with one number; so have 1 of 2 numbers .*--parts each"
    ):
        read_mask_pngs(source, ImportOptions())
    each, one = (read_mask_pngs(source, ImportOptions(parts=parts))[""].annotations for parts in ("each", "one"))
    assert [row["area"] for row in each] == [36] * 4 and [row["area"] for row in one] == [36, 108]
    assert is_mask_pngs(source)


def test_numbers_of_classes_with_several_parts_are_not_taken_for_objects(tmp_path):
    classes = make_binary(3) // 255
    classes[14:18, 20:24] = classes[2:6, 20:24] = 2
    with pytest.raises(SourceError, match="so have 2 of 2 numbers in all masks"):
        read_mask_pngs(make_set(tmp_path, [classes]), ImportOptions())


def test_binary_masks_of_one_part_each_are_objects(tmp_path):
    draft = read_mask_pngs(make_set(tmp_path, [make_binary(1), make_binary(1)]), ImportOptions())[""]
    assert [row["image_id"] for row in draft.annotations] == [1, 2] and draft.skipped == []


def test_a_mask_with_soft_edges_is_left_out_with_its_evidence_and_a_threshold_makes_it_sharp(tmp_path):
    small = Image.new("L", (60, 50))
    small.paste(255, (5, 6, 30, 40))
    source = make_set(tmp_path, [np.asarray(small.resize((143, 117), Image.Resampling.BILINEAR))])
    (skipped,) = read_mask_pngs(source, ImportOptions())[""].skipped
    assert "most on a few pixels: looks like a mask with soft edges" in skipped.reason
    assert "--threshold 127 takes what is above 127" in skipped.reason
    draft = read_mask_pngs(source, ImportOptions(threshold=127))[""]
    assert [row["bbox"] for row in draft.annotations] == [[12, 14, 60, 80]] and draft.skipped == []


def test_the_threshold_that_is_advised_is_half_of_what_the_mask_has(tmp_path):
    small = np.zeros((50, 60), np.float32)
    small[6:40, 5:30] = 65535
    soft = np.asarray(Image.fromarray(small).resize((143, 117), Image.Resampling.BILINEAR)).astype(np.uint16)
    (skipped,) = read_mask_pngs(make_set(tmp_path, [soft]), ImportOptions())[""].skipped
    assert "--threshold 32767 takes" in skipped.reason


@pytest.mark.parametrize("name", ["labels", "gt", "annotations", "masks"])
def test_masks_may_lie_in_a_folder_for_labels_and_in_splits_inside_of_it(tmp_path, name):
    for split, stem in (("train", "a"), ("train", "b"), ("valid", "c")):
        save(tmp_path / "images" / split / f"{stem}.png", np.zeros((20, 30, 3), np.uint8))
        save(tmp_path / name / split / f"{stem}.png", make_binary(1))
    assert is_mask_pngs(tmp_path)
    drafts = read_mask_pngs(tmp_path, ImportOptions())
    assert {split: len(draft.annotations) for split, draft in drafts.items()} == {"train": 2, "val": 1}
    if name != "masks":
        (tmp_path / name / "train" / "a.txt").write_text("0 0.1 0.1 0.2 0.2 0.3 0.1")  # YOLO's
        assert not is_mask_pngs(tmp_path)


def test_masks_that_look_inverted_are_told(tmp_path):
    masks = [255 - make_binary(1), 255 - make_binary(1)]
    draft = read_mask_pngs(make_set(tmp_path, masks), ImportOptions(parts="one"))[""]
    assert "2 masks of 2 pictures" in draft.notes[0] and "invert the masks" in draft.notes[0]


def test_black_masks_with_transparent_pixels_around_have_their_objects(tmp_path):
    alpha = make_binary(1)
    source = make_set(tmp_path, [np.dstack([np.zeros((*alpha.shape, 3), np.uint8), alpha])])
    (row,) = read_mask_pngs(source, ImportOptions())[""].annotations
    assert row["area"] == np.count_nonzero(alpha)


@pytest.mark.parametrize("below", ["", "val"])
def test_masks_of_one_object_each_lie_in_a_folder_for_each_photo(tmp_path, below):
    for photo, boxes in (("p1", [(1, 2), (9, 3)]), ("p2", [(5, 5)])):
        save(tmp_path / below / photo / f"images/{photo}.png", np.zeros((20, 30, 3), np.uint8))
        for place, (x, y) in enumerate(boxes):
            mask = np.zeros((20, 30), np.uint8)
            mask[y : y + 4, x : x + 6] = 255
            save(tmp_path / below / photo / f"masks/m{place}.png", mask)
    (draft,) = read_mask_pngs(tmp_path, ImportOptions()).values()
    assert [(row["image_id"], row["bbox"]) for row in draft.annotations] == [
        (1, [1, 2, 6, 4]), (1, [9, 3, 6, 4]), (2, [5, 5, 6, 4]),
    ]  # fmt: skip
    save(tmp_path / below / "p1/masks/m2.png", make_numbers())
    (draft,) = read_mask_pngs(tmp_path, ImportOptions()).values()
    assert len(draft.pictures) == 1 and "has 3 objects; expected one in each" in draft.skipped[0].reason


def test_a_folder_of_masks_may_have_the_name_of_its_photo(tmp_path):
    save(tmp_path / "images/a.png", np.zeros((20, 30, 3), np.uint8))
    save(tmp_path / "images/b.png", np.zeros((20, 30, 3), np.uint8))
    for place in (1, 2):
        save(tmp_path / f"masks/a/{place}.png", make_binary(place))
    draft = read_mask_pngs(tmp_path, ImportOptions())[""]
    assert [row["area"] for row in draft.annotations] == [36, 72]
    assert [row.reason[:11] for row in draft.skipped] == ["has no mask"]


@pytest.mark.parametrize("below", ["", "train"])
def test_masks_may_lie_beside_their_pictures_and_be_numbered(tmp_path, below):
    for name in ("benign (1)", "benign (2)", "benign (3)"):
        save(tmp_path / below / f"{name}.jpg", np.zeros((20, 30, 3), np.uint8))
    for name in ("benign (1)_mask", "benign (1)_mask_1", "benign (2)_mask"):
        save(tmp_path / below / f"{name}.png", make_binary(1))
    assert is_mask_pngs(tmp_path)
    (draft,) = read_mask_pngs(tmp_path, ImportOptions()).values()
    assert [row["image_id"] for row in draft.annotations] == [1, 1, 2] and len(draft.pictures) == 2
    assert [(row.file[-14:], row.reason[:11]) for row in draft.skipped] == [("benign (3).jpg", "has no mask")]


def test_of_two_masks_of_a_picture_the_one_with_an_ending_is_taken_and_the_other_is_told(tmp_path):
    source = make_set(tmp_path, [make_binary(1)])
    save(tmp_path / "masks/0_mask.png", make_numbers())
    draft = read_mask_pngs(source, ImportOptions())[""]
    assert len(draft.annotations) == 3
    assert [row.file.rsplit("/", 1)[-1] for row in draft.skipped] == ["0.png"]


def test_a_list_beside_the_masks_names_the_class_and_several_names_are_asked_about(tmp_path):
    source = make_set(tmp_path, [make_numbers()])
    (source / "classes.txt").write_text("nucleus\n")
    assert list(read_mask_pngs(source, ImportOptions())[""].names) == ["nucleus"]
    (source / "classes.txt").write_text("_background_\nscratch\ndent\n")
    with pytest.raises(SourceError, match=r"classes\.txt: names scratch, dent, so that the masks' numbers may be classes"):
        read_mask_pngs(source, ImportOptions())
    assert list(read_mask_pngs(source, ImportOptions(["flaw"]))[""].names) == ["flaw"]
