"""What `read_image` makes of files, bytes, PIL images and arrays, and which files `find_images` finds."""

import io
import struct
import threading
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from encoded_pictures import ALPHA, COLOURS, DEEP, ENCODED, HEIGHT, RGB, RGBA, WIDTH, encode, orientation
from maskzoo.errors import ImageError, SourceError
from maskzoo.images.find import find_images
from maskzoo.images.read import FORMATS, read_image, read_stored


def test_an_address_is_quoted_as_it_was_given():
    with pytest.raises(ImageError, match=r"^https://host/a\.jpg: is an address \(https\).*download"):
        read_image("https://host/a.jpg")


@pytest.mark.parametrize("name", ENCODED)
def test_the_pixels_are_those_of_opencv(name):
    ours = read_image(ENCODED[name])
    theirs = cv2.imdecode(np.frombuffer(ENCODED[name], np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert ours.dtype == np.uint8 and ours.flags.c_contiguous and ours.flags.writeable
    np.testing.assert_array_equal(ours, theirs)


MODES = {
    "RGB": (RGB, COLOURS),
    "RGBX": (RGB.convert("RGBX"), COLOURS),
    "RGBA": (RGBA, COLOURS),
    "L": (Image.fromarray(ALPHA), np.dstack([ALPHA] * 3)),
    "LA": (Image.merge("LA", [Image.fromarray(ALPHA), RGB.getchannel(0)]), np.dstack([ALPHA] * 3)),
    "1": (Image.fromarray(ALPHA > 99), np.dstack([np.where(ALPHA > 99, 255, 0)] * 3)),
    "I;16": (Image.fromarray(DEEP[..., 0]), np.dstack([DEEP[..., 0] >> 8] * 3)),
    "I;16B": (
        Image.frombytes("I;16B", (WIDTH, HEIGHT), DEEP[..., 0].astype(">u2").tobytes()),
        np.dstack([DEEP[..., 0] >> 8] * 3),
    ),
    "I": (Image.fromarray(DEEP[..., 0].astype(np.int32)), np.dstack([DEEP[..., 0] >> 8] * 3)),
}


@pytest.mark.parametrize("mode", MODES)
def test_a_pil_image_of_each_exact_mode_becomes_rgb_by_the_documented_rule(mode):
    image, expected = MODES[mode]
    assert image.mode == mode
    np.testing.assert_array_equal(read_image(image), expected)


@pytest.mark.parametrize("mode", ["YCbCr", "HSV", "LAB"])
def test_other_colour_spaces_come_back_as_nearly_the_same_colours(mode):
    smooth = Image.fromarray(cv2.GaussianBlur(COLOURS, (0, 0), 3) // 2 + 64)
    ours = read_image(smooth.convert(mode)).astype(int)
    assert np.abs(ours - np.asarray(smooth)).max() <= 12  # eight bits of another space lose a little


def test_a_premultiplied_image_is_divided_by_its_alpha():
    solid = Image.new("RGBA", (4, 3), (200, 100, 50, 128))
    np.testing.assert_allclose(read_image(solid.convert("RGBa")), np.full((3, 4, 3), (200, 100, 50)), atol=1)
    grey = Image.new("LA", (4, 3), (200, 128))
    np.testing.assert_allclose(read_image(grey.convert("La")), np.full((3, 4, 3), 200), atol=1)


def test_a_palette_with_alpha_gives_the_palettes_colours():
    image = RGB.quantize(16)
    np.testing.assert_array_equal(read_image(image.convert("PA")), np.asarray(image.convert("RGB")))


def test_cmyk_inks_darken_as_documented():
    inks = np.array([[[0, 0, 0, 0], [255, 0, 0, 0], [0, 0, 0, 255], [10, 20, 30, 40]]], np.uint8)
    expected = [[255, 255, 255], [1, 255, 255], [0, 0, 0], [207, 199, 190]]
    np.testing.assert_array_equal(read_image(Image.frombytes("CMYK", (4, 1), inks.tobytes()))[0], expected)


@pytest.mark.skipif("AVIF" not in FORMATS, reason="this Pillow has no AVIF")
def test_an_avif_is_turned_upright():
    encoded = encode(RGB, "AVIF", exif=orientation(6))
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(encoded))))
    np.testing.assert_array_equal(read_image(encoded), upright)
    assert upright.shape == (WIDTH, HEIGHT, 3)


@pytest.mark.parametrize("value", range(1, 9))
def test_a_pil_image_that_carries_exif_is_turned_upright(value):
    image = Image.open(io.BytesIO(encode(RGB, "PNG", exif=orientation(value))))
    np.testing.assert_array_equal(read_image(image), np.asarray(ImageOps.exif_transpose(image)))


@pytest.mark.parametrize(
    "block",
    [b"", b"II*\0", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff\x01", b"nonsense"],
    ids=["empty", "no offset", "offset outside", "entries missing", "no byte order"],
)
def test_a_damaged_exif_block_counts_as_no_orientation(block):
    jpeg = encode(RGB, "JPEG")
    segment = b"\xff\xe1" + struct.pack(">H", len(block) + 8) + b"Exif\0\0" + block
    np.testing.assert_array_equal(read_image(jpeg[:2] + segment + jpeg[2:]), read_image(jpeg))


def test_a_pil_image_of_an_animation_is_read_at_the_frame_it_stands_at():
    image = Image.open(io.BytesIO(ENCODED["webp animated"]))
    image.seek(1)
    np.testing.assert_array_equal(read_image(image), np.asarray(RGB.rotate(180)))


def test_a_path_a_text_bytes_and_an_image_give_the_same_pixels(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(ENCODED["png RGB"])
    for source in (path, str(path), path.read_bytes(), RGB, COLOURS):
        np.testing.assert_array_equal(read_image(source), COLOURS)


def test_a_contiguous_rgb_array_is_not_copied_and_others_become_contiguous():
    assert np.shares_memory(read_image(COLOURS), COLOURS)
    turned = COLOURS[:, ::-1]
    assert read_image(turned).flags.c_contiguous
    np.testing.assert_array_equal(read_image(turned), turned)
    np.testing.assert_array_equal(read_image(ALPHA), np.dstack([ALPHA] * 3))
    np.testing.assert_array_equal(read_image(np.dstack([COLOURS, ALPHA])), COLOURS)


@pytest.mark.parametrize(
    "array",
    [COLOURS / np.float32(1), COLOURS.transpose(2, 0, 1), COLOURS[..., :2], COLOURS[None], COLOURS > 5, COLOURS[0, 0]],
    ids=["float", "channels first", "two channels", "a batch", "bool", "one pixel"],
)
def test_an_array_of_another_kind_is_refused_with_what_was_found(array):
    with pytest.raises(ImageError) as error:
        read_image(array)
    assert str(array.dtype) in str(error.value) and str(array.shape) in str(error.value)
    assert "expected uint8 of shape (H, W, 3)" in str(error.value)


@pytest.mark.parametrize("shape", [(0, 5, 3), (5, 0, 3), (0, 0)])
def test_an_array_without_pixels_is_refused(shape):
    with pytest.raises(ImageError, match="has no pixels"):
        read_image(np.zeros(shape, np.uint8))


def test_a_pil_image_without_pixels_is_refused():
    with pytest.raises(ImageError, match="has no pixels: 0 x 5"):
        read_image(Image.new("RGB", (0, 5)))


def test_a_floating_point_image_is_refused_with_its_mode():
    with pytest.raises(ImageError, match="mode F"):
        read_image(encode(Image.fromarray(ALPHA.astype(np.float32)), "TIFF"))


@pytest.mark.parametrize("value", [-1, 65536])
def test_a_32_bit_value_outside_of_16_bits_is_refused(value):
    with pytest.raises(ImageError, match=f"{value}.*expected 0..65535"):
        read_image(Image.new("I", (3, 3), value))


def test_an_object_of_another_type_is_refused():
    with pytest.raises(ImageError, match="type list"):
        read_image([COLOURS])


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if kind != "PPM"])
def test_a_truncated_file_is_refused_with_its_name(kind, tmp_path):
    noise = Image.fromarray(np.random.default_rng(2).integers(0, 256, (64, 64, 3)).astype(np.uint8))
    encoded = encode(noise, kind)
    path = tmp_path / "half.img"
    path.write_bytes(encoded[: len(encoded) // 2])
    with pytest.raises(ImageError, match=r"half\.img: .*damaged or truncated"):
        read_image(path)


def test_noise_after_a_known_beginning_is_refused_and_nothing_else_is_raised():
    random = np.random.default_rng(3)
    refused = 0
    for encoded in ENCODED.values():
        for _ in range(4):
            noisy = bytearray(encoded)
            for place in random.integers(2, len(noisy), 20):
                noisy[place] = random.integers(0, 256)
            try:
                read_image(bytes(noisy))
            except ImageError:
                refused += 1
    assert refused > 50


def test_a_missing_an_empty_a_text_file_and_a_folder_are_refused_by_name(tmp_path):
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("Hello, I am no image at all")
    (tmp_path / "vector.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    for name, reason in {
        "missing.jpg": "no such file",
        "empty.jpg": "is empty, 0 bytes",
        "text.jpg": "not an image that maskzoo reads: it begins with b'Hello",
        "vector.jpg": "not an image that maskzoo reads",
        ".": "is a folder",
        "nul\0l.jpg": "cannot be opened",
    }.items():
        with pytest.raises(ImageError) as error:
            read_image(tmp_path / name)
        assert str(error.value).startswith(str(tmp_path / name)) and reason in str(error.value)


def png_header(width: int, height: int) -> bytes:
    """Start a 1-bit PNG and give no pixel."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"\0")
    chunks = [struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in (header, data)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def tiff_header(width: int, height: int) -> bytes:
    """Start an uncompressed 1-bit TIFF and give no pixel."""
    tags = ((256, width), (257, height), (258, 1), (259, 1), (262, 1), (273, 8), (277, 1), (278, height), (279, 9))
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + b"\0\0\0\0"


def make_tiff(bands: int, bits: int, form: int = 1, planar: int = 1) -> bytes:
    """Write a sound TIFF of 2 x 2 zeros."""
    pixels, many = bytes(4 * bands * bits // 8), struct.pack(f"<{bands}H", *[bits] * bands)
    tags = [
        (256, 3, 1, 2), (257, 3, 1, 2), (258, 3, bands, 0), (259, 3, 1, 1), (262, 3, 1, 1 if bands < 3 else 2),
        (273, 4, 1, 8), (277, 3, 1, bands), (278, 3, 1, 2), (279, 4, 1, len(pixels)), (284, 3, 1, planar), (339, 3, 1, form),
    ]  # fmt: skip
    end = 8 + len(pixels) + 2 + 12 * len(tags) + 4
    tags[2] = (258, 3, bands, end) if bands > 2 else (258, 3, bands, struct.unpack("<I", many.ljust(4, b"\0"))[0])
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return b"II*\0" + struct.pack("<I", 8 + len(pixels)) + pixels + struct.pack("<H", len(tags)) + entries + bytes(4) + many


def test_a_file_that_ends_within_its_header_is_told_in_words():
    with pytest.raises(ImageError, match=r"the PNG is damaged or truncated: it ends within a header; expected a whole file"):
        read_image(b"\x89PNG\r\n\x1a\nno")


@pytest.mark.parametrize(
    ("tiff", "message"),
    [
        (make_tiff(5, 8), "the TIFF has 5 bands of 8 bits; expected 1, 3 or 4 bands of 8 or 16 bits"),
        (make_tiff(7, 16), "the TIFF has 7 bands of 16 bits; expected 1, 3 or 4"),
        (make_tiff(2, 16), "the TIFF has 2 bands of 16 bits; expected 1, 3 or 4"),
        (make_tiff(3, 32, form=3), "the TIFF has 3 bands of 32 bits of floating point; expected"),
        (make_tiff(5, 8)[:30], "damaged or truncated"),
    ],
    ids=["5 bands", "7 bands", "2 bands", "float", "truncated"],
)
def test_a_sound_tiff_of_other_pixels_is_not_called_damaged(tiff, message):
    assert read_image(make_tiff(3, 8)).shape == (2, 2, 3)
    with pytest.raises(ImageError, match=message):
        read_image(tiff)


@pytest.mark.parametrize("make", [png_header, tiff_header])
def test_the_size_limit_holds_before_a_pixel_is_decoded(make):
    with pytest.raises(ImageError, match=r"20001 x 10000 is 200,010,000 pixels; expected at most 200,000,000"):
        read_image(make(20001, 10000))


@pytest.mark.parametrize("pixels", [100_000_000, 190_000_000])
@pytest.mark.parametrize("make", [png_header, tiff_header])
def test_pillows_own_size_limits_play_no_part_below_ours(make, pixels):
    with pytest.raises(ImageError, match="damaged or truncated") as error:  # it came to decoding
        read_image(make(10_000, pixels // 10_000))
    assert "bomb" not in str(error.value)


def test_the_size_limit_can_be_set_and_leaves_pillows_alone():
    before = Image.MAX_IMAGE_PIXELS
    for source in (ENCODED["jpeg grey"], RGB, COLOURS):
        assert read_image(source, max_pixels=WIDTH * HEIGHT).shape == (HEIGHT, WIDTH, 3)
        with pytest.raises(ImageError, match="37 x 23 is 851 pixels; expected at most 850"):
            read_image(source, max_pixels=WIDTH * HEIGHT - 1)
    assert before == Image.MAX_IMAGE_PIXELS


def test_a_webp_beyond_pillows_limit_is_an_image_error():
    encoded = bytearray(encode(RGB, "WEBP", lossless=True))
    place = encoded.index(b"VP8L") + 9
    encoded[place : place + 4] = struct.pack("<I", 13_999 | 13_999 << 14)
    with pytest.raises(ImageError, match="WEBP"):
        read_image(bytes(encoded))


def test_many_threads_read_at_once():
    results: list[bool] = []

    def read() -> None:
        results.extend(np.array_equal(read_image(ENCODED["png RGB"]), COLOURS) for _ in range(20))

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 160


@pytest.fixture
def folder(tmp_path, monkeypatch):
    names = ["img10.png", "img2.JPG", "img1.jpg", "a[1].jpg", "notes.txt", ".hidden.jpg", "deep/img3.webp", "raw.dat"]
    for name in names:
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).touch()
    (tmp_path / "photos" / "odd.jpg").mkdir()
    monkeypatch.chdir(tmp_path)
    return Path("photos")


def test_a_folder_gives_its_own_images_in_natural_order(folder):
    assert [path.name for path in find_images(["photos"])] == ["a[1].jpg", "img1.jpg", "img2.JPG", "img10.png"]


def test_a_pattern_gives_images_in_natural_order_and_any_depth_with_two_stars(folder):
    assert find_images(["photos/img*"]) == [folder / "img1.jpg", folder / "img2.JPG", folder / "img10.png"]
    assert folder / "deep" / "img3.webp" in find_images(["photos/**/*"])
    assert find_images(["photos/*.png"]) == [folder / "img10.png"]


def test_a_file_given_by_name_is_taken_whatever_its_extension(folder):
    assert find_images(["photos/raw.dat", "photos/.hidden.jpg"]) == [folder / "raw.dat", folder / ".hidden.jpg"]


def test_a_file_with_pattern_characters_in_its_name_is_a_file(folder):
    assert find_images(["photos/a[1].jpg"]) == [folder / "a[1].jpg"]


def test_a_file_named_twice_is_taken_once_where_it_came_first(folder):
    found = find_images(["photos/img2.JPG", "photos", "./photos/../photos/img1.jpg"])
    assert [path.name for path in found] == ["img2.JPG", "a[1].jpg", "img1.jpg", "img10.png"]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("photos/none.jpg", "no such file or folder"),
        ("photos/*.bmp", "no image matches the pattern"),
        ("photos/odd.jpg", "holds no image"),
        ("", "no such file or folder"),
    ],
)
def test_a_source_that_names_no_image_is_refused_by_name(folder, source, reason):
    with pytest.raises(SourceError) as error:
        find_images(["photos/img1.jpg", source])
    assert source in str(error.value) and reason in str(error.value)


def test_no_source_gives_no_image():
    assert find_images([]) == []


def test_a_mask_is_read_as_it_is_stored_and_is_one_page(tmp_path):
    palette = Image.fromarray(np.arange(HEIGHT * WIDTH, dtype=np.uint8).reshape(HEIGHT, WIDTH) % 7)
    palette.putpalette([value for place in range(7) for value in (place, 9, 200)])
    palette.save(tmp_path / "a.png")
    stored = read_stored(tmp_path / "a.png")
    assert stored.mode == "P" and np.array_equal(np.asarray(stored), np.asarray(palette))
    RGB.save(tmp_path / "b.tif", save_all=True, append_images=[RGB])
    with pytest.raises(ImageError, match=r"b\.tif: 2 pages; expected one picture"):
        read_stored(tmp_path / "b.tif")
    with pytest.raises(ImageError, match="pixels; expected at most 100"):
        read_stored(tmp_path / "a.png", max_pixels=100)
    with pytest.raises(ImageError, match="no such file"):
        read_stored(tmp_path / "gone.png")
