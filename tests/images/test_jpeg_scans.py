import io
import time

import numpy as np
import pytest
from PIL import Image

from maskzoo.errors import ImageError
from maskzoo.images.jpeg_scans import MAX_SCANS, check_scans
from maskzoo.images.read import read_image


def make_jpeg(side=64, **options):
    file = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    Image.fromarray(pixels).save(file, "JPEG", progressive=True, **options)
    return file.getvalue()


def add_scans(jpeg, count):
    """Repeat the last scan of a progressive JPEG."""
    place = jpeg.rindex(b"\xff\xda")
    return jpeg[:-2] + jpeg[place:-2] * count + b"\xff\xd9"


@pytest.mark.parametrize("side", [1, 64, 500])
def test_what_encoders_write_is_read(side):
    assert read_image(make_jpeg(side)).shape == (side, side, 3)
    assert read_image(add_scans(make_jpeg(side), 5)).shape == (side, side, 3)


@pytest.mark.parametrize("count", [MAX_SCANS, 500, 20_000])
def test_hundreds_of_scans_are_refused_before_they_are_decoded(tmp_path, count):
    content = add_scans(make_jpeg(128), count)
    (tmp_path / "a.jpg").write_bytes(content)
    began = time.process_time()
    for source in (content, tmp_path / "a.jpg"):
        with pytest.raises(ImageError, match=r"progressive JPEG of \d+ scans over 16,384 pixels; expected at most 100"):
            read_image(source)
    assert time.process_time() - began < 2


def test_few_scans_of_very_many_pixels_are_refused():
    with pytest.raises(ImageError, match="pixels in all"):
        check_scans(add_scans(make_jpeg(), 40), (14_000, 14_000), "a.jpg")


def test_what_looks_like_a_scan_inside_a_segment_is_none():
    jpeg = make_jpeg(comment=b"\xff\xda\x00\x02" * 500)
    assert read_image(jpeg).shape == (64, 64, 3)
