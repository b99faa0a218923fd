"""The script beside an exported file does in numpy what the package does."""

import json

import numpy as np
import pytest
import torch

from maskzoo.export.example import make_example
from maskzoo.export.example_script import paste, prepare
from maskzoo.images.batch import make_batch
from maskzoo.images.resize import resize_image
from maskzoo.ops.masks import paste as paste_own
from networks import FPN, make_photo, small_config


@pytest.fixture
def facts():
    texts = make_example("net.onnx", small_config(FPN))
    assert list(texts) == [".py", ".json"]
    return json.loads(texts[".json"])


def test_the_facts_are_those_of_the_model(facts):
    assert facts["file"] == "net.onnx" and facts["prepares"] is False
    assert facts["classes"] == ["person", "car", "train", "dog", "toothbrush"]
    assert json.loads(make_example("net.xml", small_config(FPN), prepares=True)[".json"])["prepares"] is True


@pytest.mark.parametrize(
    ("size", "share"), [((60, 90), 1e-4), ((200, 33), 1e-4), ((64, 96), 0), ((4, 6), 1e-4), ((1, 3), 0.05)], ids=str
)  # for sides of less than 4 pixels OpenCV has a kernel of its own
def test_a_photo_is_prepared_as_the_package_prepares_it(facts, size, share):
    config, photo = small_config(FPN), make_photo(*size)
    image, sizes, scale = prepare(photo, facts)
    resized = resize_image(photo, config.input.short_side, config.input.long_side)
    expected = make_batch([resized.pixels], config.input)
    assert image.shape == tuple(expected.pixels[0].shape) and sizes.tolist() == expected.sizes[0].tolist()
    assert scale == pytest.approx(resized.scale, rel=1e-6)
    levels = np.abs(image - expected.pixels[0].numpy()) * np.array(config.input.std)[:, None, None] * 255
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
