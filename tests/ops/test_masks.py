"""The reference: bilinear sampling of the whole image with zeros outside the map, as published, then the threshold."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as judge
from torch.nn import functional as F

from maskzoo.ops.masks import find_runs, paste, to_counts, to_crop, to_whole_pixels


def sample_whole_image(probability, box, size):
    x1, y1, x2, y2 = box
    x = (torch.arange(size[1], dtype=torch.float32) + 0.5 - x1) / (x2 - x1) * 2 - 1
    y = (torch.arange(size[0], dtype=torch.float32) + 0.5 - y1) / (y2 - y1) * 2 - 1
    grid = torch.stack([x.expand(size[0], -1), y[:, None].expand(-1, size[1])], dim=-1)
    return F.grid_sample(probability[None, None], grid[None], padding_mode="zeros", align_corners=False)[0, 0]


def embed(crop, offset, size):
    full = torch.zeros(size, dtype=crop.dtype)
    full[offset[1] : offset[1] + crop.shape[0], offset[0] : offset[0] + crop.shape[1]] = crop
    return full


def fill(runs, size):
    full = torch.zeros(size[1] * size[0], dtype=torch.bool)
    for start, end in runs.tolist():
        assert start < end
        assert start // size[0] == (end - 1) // size[0], "a run leaves its column"
        assert not full[start:end].any()
        full[start:end] = True
    return full.view(size[1], size[0]).T


def find_one(probability, box, size, threshold=0.5):
    return find_runs(probability[None], torch.tensor([box], dtype=torch.float32), size, threshold)[0]


@st.composite
def scenes(draw):
    """A photo, boxes of all kinds clipped to it, and maps with sharp, soft and saturated cells."""
    height, width = draw(st.integers(1, 70)), draw(st.integers(1, 70))
    side = draw(st.sampled_from([1, 2, 7, 14, 28]))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    maps, boxes = [], []
    for _ in range(draw(st.integers(0, 4))):
        ends = []
        for limit in (width, height):
            kind = draw(st.sampled_from(["any", "all", "pixel", "thin", "none", "border"]))
            low = draw(st.floats(0, limit - 0.0625, width=32))
            long = {"pixel": 1.0, "thin": 0.03, "none": 0.0}.get(kind, draw(st.floats(0.01, limit)))
            low, high = (0, limit) if kind == "all" else (low, limit if kind == "border" else low + long)
            ends.append((low, min(limit, high)))
        boxes.append([ends[0][0], ends[1][0], ends[0][1], ends[1][1]])
        sharpness = draw(st.sampled_from([1.0, 8.0, 1e4]))
        maps.append(torch.sigmoid(torch.randn(side, side, generator=generator) * sharpness))
    maps = torch.stack(maps) if maps else torch.zeros(0, side, side)
    return maps, torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4), (height, width)


@settings(max_examples=150, deadline=None)
@given(scenes())
def test_soft_values_equal_the_sampling_of_the_whole_image_and_all_others_are_zero(scene):
    maps, boxes, size = scene
    for probability, box in zip(maps, boxes, strict=True):
        crop, offset = paste(probability, box, size)
        if box[2] > box[0] and box[3] > box[1]:
            expected = sample_whole_image(probability, box, size)
            torch.testing.assert_close(embed(crop, offset, size), expected, rtol=0, atol=1e-5)
        else:
            assert crop.shape == (0, 0)


@settings(max_examples=150, deadline=None)
@given(scenes(), st.sampled_from([0.5, 0.05, 0.9]))
def test_runs_are_the_pixels_that_reach_the_threshold_in_the_whole_image(scene, threshold):
    maps, boxes, size = scene
    found = find_runs(maps, boxes, size, threshold)
    assert len(found) == len(maps)
    for probability, box, runs in zip(maps, boxes, found, strict=True):
        if not (box[2] > box[0] and box[3] > box[1]):
            assert runs.shape == (0, 2)
            continue
        expected = sample_whole_image(probability, box, size)
        decided = (expected - threshold).abs() > 1e-5
        assert torch.equal(fill(runs, size)[decided], (expected >= threshold)[decided])


@settings(max_examples=100, deadline=None)
@given(scenes())
def test_counts_and_crops_are_those_of_the_full_mask(scene):
    maps, boxes, (height, width) = scene
    for runs in find_runs(maps, boxes, (height, width)):
        full = fill(runs, (height, width))
        packed = judge.frPyObjects({"size": [height, width], "counts": to_counts(runs, (height, width))}, height, width)
        assert packed == judge.encode(np.asfortranarray(full.numpy().astype(np.uint8)))
        crop, offset = to_crop(runs, (height, width))
        assert torch.equal(embed(crop, offset, (height, width)), full)
        if len(runs):
            assert crop.any(0)[[0, -1]].all(), "an empty column at a side"
            assert crop.any(1)[[0, -1]].all(), "an empty row at an end"


def test_a_pixel_whose_centre_is_on_the_edge_of_a_saturated_box_belongs_to_it():
    full = fill(find_one(torch.ones(28, 28), [10.5, 20.5, 40.5, 30.5], (50, 60)), (50, 60))
    assert full[25].nonzero()[:, 0].tolist() == list(range(10, 41))
    assert full[:, 25].nonzero()[:, 0].tolist() == list(range(20, 31))


def test_a_low_threshold_reaches_half_a_cell_beyond_the_box():
    full = fill(find_one(torch.ones(4, 4), [40, 40, 80, 80], (120, 120), 0.1), (120, 120))
    assert full[60].nonzero()[:, 0].tolist() == list(range(36, 84))


def test_a_mask_as_tall_as_the_photo_is_one_run_of_counts():
    runs = find_one(torch.ones(14, 14), [20, 0, 50, 1], (1, 100))
    assert len(runs) == 30
    assert to_counts(runs, (1, 100)) == [20, 30, 50]
    runs = find_one(torch.ones(14, 14), [0, 0, 6, 9], (9, 6))
    assert to_counts(runs, (9, 6)) == [0, 54]


def test_an_empty_mask_is_one_run_of_zeros():
    runs = find_one(torch.zeros(14, 14), [1, 1, 5, 5], (7, 9))
    assert to_counts(runs, (7, 9)) == [63]
    assert to_crop(runs, (7, 9))[0].shape == (0, 0)


@pytest.mark.parametrize("count", [31, 32, 33, 70])
def test_many_masks_are_the_same_masks_one_by_one(count):
    generator = torch.Generator().manual_seed(count)
    maps = torch.rand(count, 14, 14, generator=generator)
    corners = torch.rand(count, 2, 2, generator=generator).sort(dim=1).values * torch.tensor([90.0, 60.0])
    boxes = corners.flatten(1)
    boxes[3] = 0
    together = find_runs(maps, boxes, (60, 90))
    assert len(together) == count
    for i, runs in enumerate(together):
        assert torch.equal(runs, find_runs(maps[i : i + 1], boxes[i : i + 1], (60, 90))[0])


def test_half_precision_maps_are_pasted_in_float32():
    assert paste(torch.rand(14, 14).bfloat16(), torch.tensor([1.0, 1.0, 9.0, 9.0]), (10, 10))[0].dtype == torch.float32


@pytest.mark.parametrize("box", [(10.3, 5.2, 31.9, 40.7), (0, 0, 50, 40), (-20.5, -3.2, 70.1, 9.9), (3.1, 3.2, 3.4, 3.3)])
def test_a_mask_stretched_to_whole_pixels_is_the_map_and_its_border_resized_to_them(box):
    size, probability = (48, 64), torch.rand(28, 28, generator=torch.Generator().manual_seed(0))
    x1, y1, x2, y2 = box
    wide, high = (x2 - x1) / 2 * 30 / 28, (y2 - y1) / 2 * 30 / 28
    corners = [(x1 + x2) / 2 - wide, (y1 + y2) / 2 - high, (x1 + x2) / 2 + wide, (y1 + y2) / 2 + high]
    left, top, right, bottom = (int(corner) for corner in corners)
    shape = (max(bottom - top + 1, 1), max(right - left + 1, 1))
    stretched = F.interpolate(F.pad(probability, (1, 1, 1, 1))[None, None], shape, mode="bilinear", align_corners=False)[0, 0]
    canvas = torch.zeros(200, 200)  # the photo begins at 50, 50
    canvas[50 + top : 50 + top + shape[0], 50 + left : 50 + left + shape[1]] = stretched
    expected = canvas[50 : 50 + size[0], 50 : 50 + size[1]]
    frame = to_whole_pixels(torch.tensor([box]), 28)[0]
    assert (embed(*paste(probability, frame, size), size) - expected).abs().max() <= 2e-5
    assert expected.max() > 0.1


def test_no_boxes_have_no_whole_pixels():
    assert to_whole_pixels(torch.zeros(0, 4), 28).shape == (0, 4)
