"""What torchvision, detectron2 and mmdetection compute without weights: anchors, box coding, RoIAlign, pasting, resizing."""

import numpy as np
import pytest
import torch

from elsewhere_files import read_row_of
from maskzoo.images.batch import batch_resized
from maskzoo.images.resize import find_factors, resize_image, resize_photo
from maskzoo.models.anchors import make_anchors
from maskzoo.ops.boxes import BOX_WEIGHTS, cap_shrinking, decode
from maskzoo.ops.masks import find_runs, paste, to_counts, to_whole_pixels
from maskzoo.ops.roi_align import assign_levels, make_table, roi_align
from shared_data import ROOT

UNITS = np.load(ROOT / "tests" / "golden" / "elsewhere" / "units.npz")
RULES = {"tv": "float", "d2": "pillow", "mm": "opencv"}
CPU = torch.device("cpu")


def read(key):
    return torch.from_numpy(UNITS[key])


@pytest.mark.parametrize("level", range(5))
@pytest.mark.parametrize("library", RULES)
def test_anchors_are_the_librarys(library, level):
    height, width = UNITS["anchors.grids"][level].tolist()
    canvas = tuple(UNITS["anchors.image"].tolist()) if library == "tv" else None
    ours = make_anchors(height, width, 4 << level, (32.0 * 2**level,), (0.5, 1.0, 2.0), CPU, canvas)
    assert (ours - read(f"anchors.{library}.{level}")).abs().max() <= (0 if library == "tv" else 1e-4)


def test_anchors_of_one_level_come_by_size_then_ratio():
    ours = make_anchors(4, 3, 16, (32.0, 64.0, 128.0, 256.0, 512.0), (0.5, 1.0, 2.0), CPU)
    assert (ours - read("anchors.d2.c4")).abs().max() <= 1e-4


@pytest.mark.parametrize("library", RULES)
def test_boxes_are_moved_as_by_the_library(library):
    deltas, expected = read("decode.deltas"), read(f"decode.{library}")
    if library == "mm":
        assert (deltas[:, 2:] / 5 < -np.log(62.5)).any()
        deltas = cap_shrinking(deltas, BOX_WEIGHTS)
    ours = decode(read("decode.src"), deltas, BOX_WEIGHTS)
    assert ((ours - expected).abs() / (1 + expected.abs())).max() <= 2e-5


@pytest.mark.parametrize("library", RULES)
def test_levels_are_the_librarys_but_within_a_thousandth_of_a_pixel_of_their_bounds(library):
    boxes = read("levels.boxes")
    side = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).sqrt()
    clear = ((side[:, None] - torch.tensor([112.0, 224, 448])).abs() > 1e-3).all(dim=1)
    assert clear.sum() > 60
    assert torch.equal(assign_levels(boxes, 4)[clear] + 2, read(f"levels.{library}")[clear])


@pytest.mark.parametrize(("library", "aligned", "samples"), [("tv", False, 2), ("d2", True, 0), ("mm", True, 0)])
def test_pooled_features_are_the_librarys(library, aligned, samples):
    boxes = read("roialign.boxes")
    none = torch.zeros(len(boxes), dtype=torch.int64)
    ours = roi_align(make_table([read("roialign.x")], [8]), boxes, none, none, 7, aligned, samples)
    assert (ours - read(f"roialign.{library}")).abs().max() <= 1e-5


@pytest.mark.parametrize("name", ["tv", "d2.soft", "mm.soft"])
def test_soft_masks_are_the_librarys(name):
    size, boxes, masks = tuple(UNITS["paste.size"].tolist()), read("paste.boxes"), read("paste.masks")
    frames = to_whole_pixels(boxes, 28) if name == "tv" else boxes
    for mask, frame, expected in zip(masks, frames, read(f"paste.{name}"), strict=True):
        values, (left, top) = paste(mask, frame, size)
        whole = torch.zeros(size)
        whole[top : top + values.shape[0], left : left + values.shape[1]] = values
        assert (whole - expected).abs().max() <= 1e-4


@pytest.mark.parametrize("name", ["tv", "d2"])
def test_hard_masks_are_the_librarys(name):
    size, boxes = tuple(UNITS["paste.size"].tolist()), read("paste.boxes")
    frames = to_whole_pixels(boxes, 28) if name == "tv" else boxes
    expected = UNITS[f"paste.{name}"] >= 0.5
    for runs, mask in zip(find_runs(read("paste.masks"), frames, size), expected, strict=True):
        counts = to_counts(runs, size)
        ours = np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(size[1], size[0]).T
        assert (ours != mask).sum() <= 1


@pytest.mark.parametrize(("library", "place"), [("tv", 4), ("d2", 6), ("mm", 8)])
def test_sizes_are_the_librarys(library, place):
    for height, width, short, long, *sides in UNITS["resize.sizes"].tolist():
        down, across = find_factors(height, width, short, long, RULES[library])
        expected = sides[place - 4 : place - 2]
        assert [round(down * height), round(across * width)] == expected, (height, width, short, long)


@pytest.mark.parametrize("name", ["down", "up"])
@pytest.mark.parametrize("library", ["d2", "mm"])
def test_pixels_are_the_librarys(library, name):
    resized = resize_image(UNITS["resize.image"], int(UNITS[f"resize.{name}.short"]), 1333, RULES[library])
    assert resized.pixels.dtype == np.uint8
    assert np.array_equal(resized.pixels, UNITS[f"resize.{name}.{library}"])


@pytest.mark.parametrize("name", ["down", "up"])
def test_unrounded_pixels_are_torchvisions(name):
    settings = read_row_of("tv_r50_fpn", f"input.short_side={UNITS[f'resize.{name}.short']}").input
    expected = UNITS[f"resize.{name}.tv"]
    batch = batch_resized([resize_photo(UNITS["resize.image"], settings)], settings)
    ours = batch.pixels[0, :, : expected.shape[1], : expected.shape[2]].numpy()
    assert batch.sizes[0].tolist() == list(expected.shape[1:])
    assert np.abs(ours - expected).max() <= 5e-6
