"""Photos prepared inside a graph are those that are prepared outside."""

import numpy as np
import onnx.checker
import onnx.inliner
import onnx.numpy_helper
import onnx.parser
import onnxruntime
import openvino
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maskzoo.exporting.onnx_preprocessing import PreprocessingBackend, make_preprocessing
from maskzoo.images.batch import batch_resized
from maskzoo.images.resize import resize_photo
from maskzoo.zoo.rows import read_row
from networks import make_photo, small_predictor
from shared_data import ROOT

ROW = "mask_rcnn_r50_fpn_1x_coco"
# Of the values, by one grey level: places where OpenCV's float32 sums round the other way. Of the squares of 4 to 499 pixels
# 3e-5 are usual, and 2.2e-4 of those of 160 and 480, enlarged by fifths and thirds, whose sums are exact halves more often.
MOST_OFF = 3e-4
FEW_OFF = 10  # values, which in a narrow photo are more than that share
LEVEL = 1 / 255 / 0.224


@pytest.fixture(
    scope="module",
    params=[
        ("mask_rcnn_r50_fpn_1x_coco", "one_factor"),
        ("mask_rcnn_r50_fpn_1x_coco", "rounded"),
        ("mask_rcnn_r50_1x_coco", "one_factor"),
    ],
    ids=" ".join,
)
def graph(request):
    """The published sides with either rule, and both runtimes with them."""
    row, rule = request.param
    sides = read_row(row, [f"input.resize={rule}"]).input
    content = make_preprocessing(sides).SerializeToString()
    exact = openvino.compile_model(openvino.Core().read_model(content), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    session = onnxruntime.InferenceSession(content)
    return sides, (lambda photo: session.run(None, {"photo": photo}), lambda photo: list(exact({"photo": photo}).values()))


def assert_sizes(found, expected, rule):
    """Whole sizes are equal; one runtime divides by multiplying, so that a fraction may miss its last bit."""
    assert np.abs(found - expected).max() <= (0 if rule == "rounded" else np.spacing(expected).max())


@settings(deadline=None, max_examples=5)
@given(height=st.integers(4, 500), width=st.integers(4, 500), seed=st.integers(0, 99))
def test_a_photo_becomes_the_input_that_it_becomes_outside(graph, height, width, seed):
    sides, runtimes = graph
    photo = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)
    resized = resize_photo(photo, sides)
    expected = batch_resized([resized], sides)
    for run in runtimes:
        images, sizes, scale = run(photo)
        assert images.shape == tuple(expected.pixels.shape)
        assert_sizes(sizes, expected.sizes.numpy(), sides.resize)
        off = np.abs(images - expected.pixels.numpy())
        assert off.max() <= LEVEL * 1.01
        assert (off > 1e-5).sum() <= max(FEW_OFF, MOST_OFF * off.size)
        assert np.abs(scale - [resized.scale[1], resized.scale[0]] * 2).max() <= 1e-5


@pytest.mark.parametrize("size", [(41, 82), (192, 207), (149, 298), (77, 434), (128, 130), (128, 132)])
def test_a_side_that_ends_in_half_a_pixel_is_rounded_as_outside(graph, size):
    """In double precision 1333 / 82 times 41 is a little more than 666.5, and 800 / 128 times 130 is 812.5: to even."""
    sides, runtimes = graph
    photo = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
    expected = batch_resized([resize_photo(photo, sides)], sides)
    images, sizes, _ = runtimes[0](photo)
    assert images.shape == tuple(expected.pixels.shape)
    assert_sizes(sizes, expected.sizes.numpy(), sides.resize)
    assert np.abs(images - expected.pixels.numpy()).max() <= LEVEL * 1.01


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (3, 2)])
def test_a_photo_of_a_few_pixels_differs_by_a_grey_level_at_most(graph, size):
    sides, runtimes = graph
    photo = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
    expected = batch_resized([resize_photo(photo, sides)], sides)
    images, sizes, _ = runtimes[0](photo)
    assert_sizes(sizes, expected.sizes.numpy(), sides.resize)
    assert np.abs(images - expected.pixels.numpy()).max() <= LEVEL * 1.01


@pytest.mark.parametrize("size", [(300, 4), (160, 160)])
def test_a_few_values_of_a_narrow_photo_and_more_of_one_enlarged_five_times_may_be_off(size):
    sides = read_row("mask_rcnn_r50_1x_coco", ["input.resize=rounded"]).input
    prepared = PreprocessingBackend(small_predictor().backend, sides)
    photo = np.random.default_rng(27).integers(0, 256, (*size, 3)).astype(np.uint8)
    expected = batch_resized([resize_photo(photo, sides)], sides).pixels.numpy()
    session = onnxruntime.InferenceSession(make_preprocessing(sides).SerializeToString())
    off = (np.abs(session.run(None, {"photo": photo})[0] - expected) > 1e-5).sum()
    assert 0 < off <= max(FEW_OFF, MOST_OFF * expected.size)
    assert prepared.find_fault(photo) is None


def test_a_preparation_that_differs_is_told_in_grey_levels(monkeypatch):
    """Verification must be able to fail: here ours has another mean."""
    sides = read_row("mask_rcnn_r50_fpn_1x_coco").input
    prepared = PreprocessingBackend(small_predictor().backend, sides)
    photo = np.random.default_rng(0).integers(0, 256, (60, 90, 3)).astype(np.uint8)
    assert prepared.find_fault(photo) is None
    other = sides.model_copy(update={"mean": (0.5, 0.456, 0.406)})
    monkeypatch.setattr(prepared, "_settings", other)
    assert "grey levels" in prepared.find_fault(photo)
    monkeypatch.setattr(prepared, "_settings", sides.model_copy(update={"short_side": 801}))
    assert "expected [801" in prepared.find_fault(photo)
    monkeypatch.setattr(prepared, "_settings", sides.model_copy(update={"resize": "rounded"}))
    assert prepared.find_fault(make_photo(61, 90)).endswith("expected [800.0, 1180.0]")


def test_the_graphs_text_is_a_model_with_the_published_values():
    text = (ROOT / "src" / "maskzoo" / "exporting" / "preprocessing.onnxtxt").read_text()
    model = onnx.parser.parse_model(text)
    onnx.checker.check_model(onnx.inliner.inline_local_functions(model))
    published, made = (read_constants(graph) for graph in (model, make_preprocessing(read_row(ROW).input)))
    assert published == made
    changes = ["short_side=64", "long_side=99", "canvas_multiple=64", "mean=[0.1, 0.2, 0.3]", "resize=rounded"]
    other = read_constants(make_preprocessing(read_row(ROW, [f"input.{change}" for change in changes]).input))
    assert [other[name] for name in ("short_side", "long_side", "multiple", "beyond")] == [[64], [99], [64], [63]]
    assert other["mean"] == np.array([0.1, 0.2, 0.3], np.float32).tolist() and other["deviation"] == made["deviation"]
    assert (made["rounded"], other["rounded"]) == ([False], [True])


def read_constants(model):
    return {tensor.name: onnx.numpy_helper.to_array(tensor).ravel().tolist() for tensor in model.graph.initializer}
