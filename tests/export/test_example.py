"""The script beside an exported file prepares a photo as the product does."""

import runpy

import numpy as np
import pytest

from maskzoo.data.batching import batch_resized
from maskzoo.data.transforms import resize_photo
from maskzoo.export.example import make_example
from networks import make_photo, small_config

LEVEL = 1 / 255 / 0.224


@pytest.mark.parametrize("rule", ["one_factor", "rounded"])
@pytest.mark.parametrize("size", [(61, 90), (90, 61), (48, 70), (200, 31), (1, 500)])
def test_a_photo_is_prepared_by_the_rule_of_its_model_file(rule, size, tmp_path):
    config = small_config("mask_rcnn_r50_fpn_1x_coco", f"input.resize={rule}")
    script = tmp_path / "example.py"
    script.write_text(make_example("network.onnx", config), encoding="utf-8")
    photo = make_photo(*size)
    canvas, sizes, scale = runpy.run_path(str(script))["prepare"](photo)
    resized = resize_photo(photo, config.input)
    expected = batch_resized([resized], config.input)
    assert canvas.shape == tuple(expected.pixels.shape[1:])
    assert np.allclose(sizes, expected.sizes[0], rtol=1e-6) and np.allclose(scale, resized.scale, rtol=1e-6)
    off = np.abs(canvas - expected.pixels[0].numpy())
    assert off.max() <= LEVEL * 1.01 and (off > 1e-5).mean() <= 0.03


def test_a_file_that_prepares_photos_has_no_preparation_in_its_script_and_none_has_a_mark_of_the_template():
    config = small_config()
    for name, prepares in (("network.onnx", False), ("network.onnx", True), ("network.pt2", False)):
        text = make_example(name, config, prepares)
        assert ("prepare(" in text) == (not prepares)
        assert not any(line.strip().startswith(("#[", "#]")) for line in text.splitlines()) and "= ..." not in text
