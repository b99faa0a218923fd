"""The exported folder in a real browser, on a server of plain files: what it finds is what Python finds."""

import io
import json

import numpy as np
import pytest
import torch
from hotcoco import mask as coco_masks
from PIL import Image
from playwright.sync_api import expect

import maskzoo
from browsers import browsing, drop, find_runtime, save, set_score, visiting
from maskzoo.errors import ArgumentError, ConfigError, ExportError
from maskzoo.ops.masks import to_whole_pixels
from maskzoo.weights.checkpoint import write_checkpoint
from networks import FPN, THIN, make_photo, small_config, sure_network

BOX_PIXELS, SCORE, MASK_IOU = 1.0, 1e-3, 0.98
SIDES = ("input.short_side=96", "input.long_side=160", "limits.detections.total=12")


def encode(photo, kind, **options):
    stream = io.BytesIO()
    Image.fromarray(photo).save(stream, kind, **options)
    return stream.getvalue()


def turned():
    """A photo whose EXIF says that it lies on its side."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return encode(make_photo(90, 140, 3), "JPEG", quality=92, exif=exif)


PHOTOS = {
    "large_png": encode(make_photo(240, 330), "PNG"),
    "plain_jpg": encode(make_photo(120, 100, 1), "JPEG", quality=90),
    "grey_png": encode(make_photo(70, 110, 2)[..., 0], "PNG"),
    "turned_jpg": turned(),
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "thin.safetensors"
    config = small_config(FPN, *THIN, *SIDES)
    write_checkpoint(path, sure_network(config).state_dict(), config, {"source": "random"})
    return path


@pytest.fixture(scope="module")
def site(model):
    return maskzoo.export(model, model.parent / "site", to="web", runtime=find_runtime()).example.parent


def test_what_the_browser_finds_is_what_python_finds(model, site, serve):
    predictor = maskzoo.load(model)
    with browsing() as browser, visiting(browser, serve(site)) as page:
        drop(page, **PHOTOS)
        set_score(page, 0.05)
        expect(page.locator("#strip .waiting")).to_have_count(0)
        assert "nothing is uploaded" in page.inner_text("#privacy")
        saved = json.loads(save(page, "#save-coco")[1])
        assert page.evaluate("typeof SharedArrayBuffer") == "undefined"  # no headers of the host's, so one thread
    assert [row["file_name"] for row in saved["images"]] == [name.replace("_", ".") for name in PHOTOS]
    for number, content in enumerate(PHOTOS.values(), 1):
        expected = predictor.predict(content, score=0.05)
        found = [row for row in saved["annotations"] if row["image_id"] == number]
        assert (saved["images"][number - 1]["height"], saved["images"][number - 1]["width"]) == expected.size
        assert len(found) == len(expected) > 2
        compare(found, expected)


def compare(found, expected):
    """Hold each object against the one of its class whose box is the nearest."""
    boxes = np.array([row["bbox"] for row in found])
    boxes[:, 2:] += boxes[:, :2]
    for index, row in enumerate(expected.to_coco(1)):
        away = np.abs(boxes - expected.boxes[index]).max(axis=1)
        away += np.where(np.array([one["category_id"] for one in found]) == row["category_id"], 0, 1e6)
        nearest = found[int(away.argmin())]
        assert away.min() <= BOX_PIXELS
        assert abs(nearest["score"] - row["score"]) <= SCORE
        both = coco_masks.iou([nearest["segmentation"]], [row["segmentation"]], [0])
        assert both[0][0] >= MASK_IOU


def test_masks_are_pasted_as_python_pastes_them(site, serve):
    random = np.random.default_rng(0)
    size = (60, 100)
    boxes = random.uniform([-10, -10, 20, 20], [60, 30, 120, 70], (30, 4)).astype(np.float32).clip(0, [100, 60, 100, 60])
    boxes[-2:] = [[10.2, 10.2, 10.4, 40], [0, 0, 100, 60]]
    cells = random.uniform(0, 1, (30, 28, 28)).astype(np.float32)
    expected = maskzoo.Masks(cells, boxes, size)
    whole = maskzoo.Masks(cells, to_whole_pixels(torch.from_numpy(boxes), 28).numpy(), size)
    with browsing() as browser, visiting(browser, serve(site)) as page:
        found = page.evaluate(
            """async ([boxes, cells, size]) => {
                const { pasteMask, toWholePixels } = await import("./page/paste.js");
                const { toRunLengths, fromRunLengths } = await import("./page/masks.js");
                const paste = (box, index, frame) =>
                    toRunLengths(pasteMask(Float32Array.from(cells[index]), 28, frame(box, 28), size, 0.5), size);
                const twice = (mask) => toRunLengths(fromRunLengths(mask), size);
                return [
                    boxes.map((box, index) => paste(box, index, (box) => box)),
                    boxes.map((box, index) => paste(box, index, toWholePixels)),
                ].map((masks) => masks.map(twice));
            }""",
            [boxes.tolist(), cells.reshape(30, -1).tolist(), size],
        )
    for masks, ours in zip(found, (expected, whole), strict=True):
        for index, (mask, row) in enumerate(zip(masks, ours.rle(), strict=True)):
            off = (coco_masks.decode(mask) != coco_masks.decode(row)).sum()
            assert off <= 1, (index, off)  # a pixel where the value is the threshold but for the last bit


def test_a_file_that_is_no_photo_and_a_folder_that_is_not_whole_are_told(site, serve):
    network = site / "model.onnx"
    with browsing() as browser:
        with visiting(browser, serve(site)) as page:
            drop(page, broken_png=b"no picture")
            expect(page.locator("#problem")).to_contain_text("no photo")
        network.rename(site / "gone.onnx")
        try:
            with visiting(browser, serve(site)) as page:
                expect(page.locator("#status")).to_contain_text("could not be loaded")
        finally:
            (site / "gone.onnx").rename(network)


def test_the_folder_says_what_its_network_is(model, site):
    facts = json.loads((site / "model.json").read_text())
    config = maskzoo.load(model).config
    assert facts["classes"] == [[number, name] for number, name in config.classes.items()] and facts["paste"] == "sampled"
    page = (site / "index.html").read_text()
    assert "Content-Security-Policy" in page and "frame-ancestors" not in page


def test_what_is_there_or_does_not_fit_is_refused_before_anything_is_written(model, site, tmp_path):
    with pytest.raises(ExportError, match="exists already"):
        maskzoo.export(model, site, to="web", runtime=find_runtime())
    with pytest.raises(ArgumentError, match="add --to web"):
        maskzoo.export(model, runtime=find_runtime())
    with pytest.raises(ConfigError, match=r"input\.resize one_factor or rounded"):
        maskzoo.export(model, tmp_path / "s", to="web", runtime=find_runtime(), overrides=["input.resize=pillow"])
    assert not list((tmp_path / "s").glob("*"))
