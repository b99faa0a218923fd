"""Windows of an image have the pixels that the image has there, whatever file it is in."""

import numpy as np
import pytest
from PIL import Image

from maskzoo.errors import ImageError
from maskzoo.images.read import read_image
from maskzoo.images.windows import CACHE_BYTES, DecodedImage, TiffWindows, open_windows, shrink_image
from networks import make_photo

tifffile = pytest.importorskip("tifffile")

PHOTO = make_photo(230, 310)
GREY = PHOTO[..., 0]
WIDE = PHOTO.astype(np.uint16) * 256 + 77
FORMS = {
    "tiled": (PHOTO, {"tile": (64, 96), "photometric": "rgb"}),
    "tiled, BigTIFF": (PHOTO, {"tile": (64, 96), "photometric": "rgb", "bigtiff": True, "compression": "zlib"}),
    "strips": (PHOTO, {"rowsperstrip": 37, "photometric": "rgb", "compression": "lzw"}),
    "16 bits": (WIDE, {"rowsperstrip": 16, "photometric": "rgb", "compression": "zlib", "predictor": True}),
    "16 bits, big-endian": (WIDE, {"tile": (64, 64), "photometric": "rgb", "byteorder": ">"}),
    "grey": (GREY, {"tile": (64, 64), "photometric": "minisblack"}),
    "grey, 16 bits": (WIDE[..., 0], {"rowsperstrip": 50, "photometric": "minisblack"}),
    "with alpha": (np.dstack([PHOTO, GREY]), {"rowsperstrip": 50, "photometric": "rgb", "extrasamples": ["unassalpha"]}),
    "colours apart": (np.moveaxis(PHOTO, 2, 0), {"rowsperstrip": 20, "photometric": "rgb", "planarconfig": "separate"}),
}
BOXES = [(0, 0, 310, 230), (5, 7, 6, 8), (90, 60, 200, 130), (250, 200, 310, 230), (0, 100, 310, 101)]


@pytest.mark.parametrize("form", FORMS)
def test_a_tiff_is_read_by_windows_with_its_own_pixels(form, tmp_path):
    pixels, options = FORMS[form]
    tifffile.imwrite(tmp_path / "a.tif", pixels, **options)
    expected = np.repeat(GREY[..., None], 3, axis=2) if "grey" in form else PHOTO
    with open_windows(tmp_path / "a.tif") as windows:
        assert isinstance(windows, TiffWindows) and windows.size == (230, 310)
        for x1, y1, x2, y2 in BOXES:
            np.testing.assert_array_equal(windows.read(x1, y1, x2, y2), expected[y1:y2, x1:x2])


def test_windows_agree_with_the_decoder_of_every_other_use(tmp_path):
    for form in ("tiled", "strips", "grey", "grey, 16 bits", "with alpha"):
        tifffile.imwrite(tmp_path / "a.tif", FORMS[form][0], **FORMS[form][1])
        with open_windows(tmp_path / "a.tif") as windows:
            np.testing.assert_array_equal(windows.read(0, 0, 310, 230), read_image(tmp_path / "a.tif"), err_msg=form)


def test_jpeg_inside_a_tiff_gives_the_colours_that_the_decoder_gives(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", PHOTO, tile=(64, 64), compression="jpeg", photometric="ycbcr")
    with open_windows(tmp_path / "a.tif") as windows:
        assert isinstance(windows, TiffWindows)
        difference = windows.read(0, 0, 310, 230).astype(int) - read_image(tmp_path / "a.tif")
    assert np.abs(difference).max() <= 2


@pytest.mark.parametrize("form", ["palette", "whole", "turned", "png"])
def test_what_cannot_be_read_by_parts_is_decoded_as_ever(form, tmp_path):
    path = tmp_path / ("a.png" if form == "png" else "a.tif")
    if form == "palette":
        Image.fromarray(PHOTO).quantize(16).save(path, "TIFF")
    elif form == "turned":
        tifffile.imwrite(path, PHOTO, rowsperstrip=10, photometric="rgb", extratags=[(274, "H", 1, 6, True)])
    else:
        Image.fromarray(PHOTO).save(path)
    with open_windows(path) as windows:
        assert isinstance(windows, DecodedImage)
        np.testing.assert_array_equal(windows.read(0, 0, *windows.size[::-1]), read_image(path))


def test_parts_that_were_never_written_are_black(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", shape=(128, 128, 3), dtype="uint8", tile=(64, 64), photometric="rgb", data=None)
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+b") as file:
        file.pages[0].tags["TileByteCounts"].overwrite([0] * 4)
        file.pages[0].tags["TileOffsets"].overwrite([0] * 4)
    with open_windows(tmp_path / "a.tif") as windows:
        assert not windows.read(0, 0, 128, 128).any()


def test_a_truncated_tiff_is_named_with_what_to_do(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PHOTO, tile=(64, 64), photometric="rgb", compression="zlib")
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        first = file.pages[0].dataoffsets[0]
    content[first : first + 200] = bytes(200)
    path.write_bytes(content)
    with open_windows(path) as windows, pytest.raises(ImageError, match=r"a\.tif: part 0 of the TIFF is damaged"):
        windows.read(0, 0, 20, 20)
    path.write_bytes(content[: first + 20])
    with pytest.raises(ImageError, match=r"a\.tif"), open_windows(path) as windows:
        windows.read(0, 0, 20, 20)
    path.write_bytes(content[:6])
    with pytest.raises(ImageError, match=r"a\.tif"), open_windows(path):
        pass


def test_decoded_parts_are_kept_only_as_far_as_there_is_room(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((64, 64, 3), np.uint8), tile=(16, 16), photometric="rgb")
    with open_windows(tmp_path / "a.tif") as windows:
        windows._held = CACHE_BYTES  # as if others filled it
        windows.read(0, 0, 64, 64)
        assert len(windows._cache) == 1


@pytest.mark.parametrize("factor", [1, 3, 7])
def test_a_shrunken_image_is_the_mean_of_its_blocks(factor):
    small = shrink_image(DecodedImage(PHOTO), factor)
    assert small.shape == (-(-230 // factor), -(-310 // factor), 3)
    block = PHOTO[factor : 2 * factor, factor : 2 * factor].reshape(-1, 3).mean(axis=0)
    np.testing.assert_allclose(small[1, 1], block, atol=1.5)
