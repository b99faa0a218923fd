import numpy as np
import torch

from maskzoo.images.batch import batch_resized, canvas_size, make_batch
from maskzoo.images.resize import resize_image
from maskzoo.zoo.rows import read_row

SETTINGS = read_row("mask_rcnn_r50_fpn_1x_coco").input


def test_the_canvas_is_rounded_up_to_the_multiple():
    assert canvas_size(800, 1199, 32) == (800, 1216)
    assert canvas_size(1, 1, 32) == (32, 32)
    assert canvas_size(31, 33, 1) == (31, 33)


def test_boxes_end_with_the_pixels_or_where_the_photo_ends_by_its_factor():
    photo = np.zeros((48, 64, 3), np.uint8)
    resized = resize_image(photo, 80, 133, "one_factor")
    assert make_batch([resized.pixels], SETTINGS).sizes.tolist() == [[80, 107]]
    batch = batch_resized([resized], SETTINGS)
    assert batch.sizes.dtype == torch.float32
    assert batch.sizes.tolist() == [[80, float(np.float32(64 * 80 / 48))]]
    assert batch.pixels.shape == (1, 3, 96, 128)


def test_pixels_are_normalised_with_the_published_rounding_and_padded_with_zeros():
    random = np.random.default_rng(0)
    images = [random.integers(0, 256, size, np.uint8) for size in ((40, 50, 3), (64, 33, 3))]
    batch = make_batch(images, SETTINGS)
    assert batch.pixels.shape == (2, 3, 64, 64) and batch.pixels.dtype == torch.float32
    assert batch.pixels.is_contiguous(memory_format=torch.channels_last)
    assert batch.sizes.tolist() == [[40, 50], [64, 33]]
    for image, pixels in zip(images, batch.pixels.numpy(), strict=True):
        height, width = image.shape[:2]
        expected = image.astype(np.float32) * np.float32(1 / 255)
        expected -= np.array(SETTINGS.mean)
        expected /= np.array(SETTINGS.std)
        assert (pixels[:, :height, :width].transpose(1, 2, 0) == expected).all()
        assert (pixels[:, height:] == 0).all() and (pixels[:, :, width:] == 0).all()


def test_channels_are_in_the_order_of_the_model_file_each_with_its_own_mean():
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    first, turned = (make_batch([image], SETTINGS.model_copy(update={"order": order})).pixels for order in ("rgb", "bgr"))
    assert torch.equal(first.flip(1), turned) and not torch.equal(first, turned)
    assert turned.is_contiguous(memory_format=torch.channels_last)


def test_unrounded_pixels_are_normalised_as_whole_ones_of_the_same_rule():
    settings = SETTINGS.model_copy(update={"resize": "float", "order": "bgr"})
    image = np.random.default_rng(0).integers(0, 256, (32, 20, 3), np.uint8)
    whole, plain = (make_batch([pixels], settings).pixels for pixels in (image, image.astype(np.float32)))
    assert torch.equal(whole, plain) and plain.shape == (1, 3, 32, 32) and (plain[..., 20:] == 0).all()


def test_a_deviation_of_one_grey_level_leaves_grey_levels_less_their_mean():
    settings = SETTINGS.model_copy(update={"resize": "pillow", "order": "bgr", "std": (1 / 255,) * 3})
    image = np.full((32, 32, 3), (10, 20, 200), np.uint8)
    expected = np.float32([200, 20, 10]) - np.float32([103.53, 116.28, 123.675])
    assert (make_batch([image], settings).pixels[0, :, 0, 0].numpy() == expected).all()
