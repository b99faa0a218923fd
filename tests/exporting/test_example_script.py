"""The script beside an exported file does in numpy what the package does."""

import json

import numpy as np
import pytest
import torch

from maskzoo.exporting.example import make_example
from maskzoo.exporting.example_script import find_whole_pixels, paste, prepare
from maskzoo.images.batch import batch_resized
from maskzoo.images.resize import resize_photo
from maskzoo.ops.masks import paste as paste_own
from maskzoo.ops.masks import to_whole_pixels
from networks import FPN, make_photo, small_config


def read_facts(rule="one_factor", order="rgb"):
    texts = make_example("net.onnx", small_config(FPN, f"input.resize={rule}", f"input.order={order}"))
    assert list(texts) == [".py", ".json"]
    return json.loads(texts[".json"])


def test_the_facts_are_those_of_the_model():
    facts = read_facts()
    assert facts["file"] == "net.onnx" and facts["prepares"] is False
    assert facts["classes"] == ["person", "car", "train", "dog", "toothbrush"]
    assert json.loads(make_example("net.xml", small_config(FPN), prepares=True)[".json"])["prepares"] is True


@pytest.mark.parametrize("rule", ["one_factor", "rounded", "pillow", "opencv", "float"])
@pytest.mark.parametrize("size", [(60, 90), (61, 90), (200, 33), (64, 96), (4, 6), (1, 3), (1, 500)], ids=str)
def test_a_photo_is_prepared_as_the_package_prepares_it(size, rule):
    order = "bgr" if rule in ("pillow", "opencv") else "rgb"
    config, photo = small_config(FPN, f"input.resize={rule}", f"input.order={order}"), make_photo(*size)
    image, sizes, scale = prepare(photo, read_facts(rule, order))
    resized = resize_photo(photo, config.input)
    expected = batch_resized([resized], config.input)
    assert image.shape == tuple(expected.pixels[0].shape)
    assert np.allclose(sizes, expected.sizes[0], rtol=1e-6) and scale == pytest.approx(resized.scale, rel=1e-6)
    std = np.array(config.input.std)[:: -1 if order == "bgr" else 1, None, None]
    levels = np.abs(image - expected.pixels[0].numpy()) * std * 255
    share = 0.05 if min(size) < 4 else 1e-4  # for sides of less than 4 pixels OpenCV has a kernel of its own
    share = 0.2 if rule == "opencv" else share  # its linear weights are of few bits
    assert levels.max() < 1.01 and (levels > 0.5).mean() <= share  # OpenCV's sums may round the other way


@pytest.mark.parametrize("box", [[10.3, 5.2, 40.8, 30.1], [-5, -3, 20, 200], [90, 50, 300, 300], [10, 10, 10, 20]])
def test_masks_are_pasted_as_the_package_pastes_them(box):
    size, mask = (60, 100), torch.rand(28, 28, generator=torch.Generator().manual_seed(0))
    found = paste(mask.numpy(), np.array(box, np.float32), size)
    x1, y1, x2, y2 = box
    expected = np.zeros(size, np.float32)
    if x2 > x1:
        values, (left, top) = paste_own(mask, torch.tensor(box, dtype=torch.float32), size)
        expected[top : top + len(values), left : left + values.shape[1]] = values
    inside = np.zeros(size, bool)  # the package pastes half a cell beyond the box as well
    inside[max(0, int(np.ceil(y1))) : max(0, int(y2)), max(0, int(np.ceil(x1))) : max(0, int(x2))] = True
    assert inside.any() == (x2 > x1)
    assert np.abs(found - expected)[inside].max(initial=0) < 1e-4


@pytest.mark.parametrize("box", [[10.3, 5.2, 40.8, 30.1], [-5, -3, 20, 200], [10.2, 10.2, 10.4, 20]])
def test_masks_lie_on_whole_pixels_as_the_package_lays_them(box):
    ours = to_whole_pixels(torch.tensor([box], dtype=torch.float32), 28)[0]
    assert np.allclose(find_whole_pixels(np.array(box, np.float32), 28), ours, atol=1e-4)
