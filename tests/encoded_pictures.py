"""Small pictures in every format and mode that `read_image` takes, as the bytes of their files."""

import io

import cv2
import numpy as np
from PIL import Image, ImageCms, PngImagePlugin

from maskzoo.images.read import FORMATS

WIDTH, HEIGHT = 37, 23  # odd, so that chroma subsampling and JPEG blocks end inside the picture


def make_colours() -> np.ndarray:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    colours = np.stack([x * 6 % 256, y * 11 % 256, (x * y) % 256], axis=-1).astype(np.uint8)
    colours[5:15, 5:15] = np.random.default_rng(0).integers(0, 256, (10, 10, 3))
    return colours


COLOURS = make_colours()
ALPHA = (np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) % 256).astype(np.uint8)
RGB = Image.fromarray(COLOURS)
RGBA = Image.fromarray(np.dstack([COLOURS, ALPHA]))
DEEP = np.random.default_rng(1).integers(0, 65536, (HEIGHT, WIDTH, 3)).astype(np.uint16)


def encode(image: Image.Image, kind: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def encode_by_opencv(array: np.ndarray, suffix: str) -> bytes:
    return cv2.imencode(suffix, array)[1].tobytes()


def orientation(value: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


def as_ycck(jpeg: bytes) -> bytes:
    """Flip the colour transform in the Adobe segment of a CMYK JPEG: the same data then mean YCCK."""
    changed = bytearray(jpeg)
    changed[jpeg.index(b"Adobe") + 11] = 2
    return bytes(changed)


ENCODED = {  # what OpenCV reads alike
    **{
        f"jpeg {name} {'progressive' if progressive else 'baseline'}": encode(
            RGB, "JPEG", quality=85, subsampling=code, progressive=progressive
        )
        for name, code in (("4:4:4", 0), ("4:2:2", 1), ("4:2:0", 2))
        for progressive in (False, True)
    },
    "jpeg grey": encode(RGB.convert("L"), "JPEG"),
    "jpeg cmyk": encode(RGB.convert("CMYK"), "JPEG"),
    "jpeg ycck": as_ycck(encode(RGB.convert("CMYK"), "JPEG")),
    **{f"png {mode}": encode(RGB.convert(mode), "PNG") for mode in ("1", "L", "P", "RGB")},
    "png LA": encode(RGBA.convert("LA"), "PNG"),
    "png RGBA": encode(RGBA, "PNG"),
    "png P one transparent entry": encode(RGB.quantize(16), "PNG", transparency=3),
    "png P transparency of each entry": encode(RGB.quantize(16), "PNG", transparency=bytes(range(16))),
    "png P 1 bit": encode(RGB.quantize(2), "PNG"),
    "png P 2 bits": encode(RGB.quantize(4), "PNG"),
    "png L transparent value": encode(RGB.convert("L"), "PNG", transparency=9),
    "png RGB transparent colour": encode(RGB, "PNG", transparency=(0, 0, 0)),
    "png 16-bit grey": encode_by_opencv(DEEP[..., 0], ".png"),
    "png 16-bit colour": encode_by_opencv(DEEP, ".png"),
    "png 16-bit alpha": encode_by_opencv(np.dstack([DEEP, DEEP[..., 0]]), ".png"),
    "png animated": encode(RGB, "PNG", save_all=True, append_images=[RGB.rotate(180)]),
    "tiff RGB": encode(RGB, "TIFF"),
    "tiff lzw": encode(RGB, "TIFF", compression="tiff_lzw"),
    "tiff P": encode(RGB.convert("P"), "TIFF"),
    "tiff 1": encode(RGB.convert("1"), "TIFF", compression="group4"),
    "tiff 16-bit grey": encode_by_opencv(DEEP[..., 0], ".tiff"),
    "tiff two pages": encode(RGB, "TIFF", save_all=True, append_images=[RGB.rotate(180)]),
    "bmp": encode(RGB, "BMP"),
    "bmp P": encode(RGB.convert("P"), "BMP"),
    "gif animated": encode(
        RGB.quantize(64), "GIF", save_all=True, append_images=[RGB.quantize(64).transpose(Image.Transpose.ROTATE_180)]
    ),
    "ppm": encode(RGB, "PPM"),
    "pgm 16-bit": encode_by_opencv(DEEP[..., 0], ".pgm"),
    "webp": encode(RGB, "WEBP", quality=80),
    "webp alpha": encode(RGBA, "WEBP", quality=80, exact=True),
    "webp animated": encode(RGB, "WEBP", lossless=True, save_all=True, append_images=[RGB.rotate(180)]),
    "jpeg2000": encode(RGB, "JPEG2000"),
    **{f"jpeg orientation {o}": encode(RGB, "JPEG", exif=orientation(o)) for o in range(1, 9)},
    **{f"png orientation {o}": encode(RGB, "PNG", exif=orientation(o)) for o in range(1, 9)},
    **{f"tiff orientation {o}": encode(RGB, "TIFF", exif=orientation(o)) for o in range(1, 9)},
    "webp orientation 6": encode(RGB, "WEBP", lossless=True, exif=orientation(6)),
    "jpeg orientation of 9": encode(RGB, "JPEG", exif=orientation(9)),
    "png 16-bit grey orientation 6": encode(Image.fromarray(DEEP[..., 0]), "PNG", exif=orientation(6)),
}

_DEEP_GREY = Image.fromarray(DEEP[..., 0])
_ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
_TEXT = PngImagePlugin.PngInfo()
_TEXT.add_text("Comment", "a" * 3000, zip=True)
MORE_ENCODED = {  # what OpenCV reads in another way, or not at all
    "jpeg profile": encode(RGB, "JPEG", icc_profile=_ICC * 40, exif=orientation(3)),
    "png profile": encode(RGB, "PNG", icc_profile=_ICC, pnginfo=_TEXT, exif=orientation(3)),
    **{f"tiff {mode}": encode(RGB.convert(mode), "TIFF") for mode in ("CMYK", "YCbCr", "LAB", "I", "F")},
    "tiff RGBA": encode(RGBA, "TIFF", compression="tiff_adobe_deflate"),
    "tiff LA": encode(RGBA.convert("LA"), "TIFF", compression="packbits"),
    "tiff jpeg": encode(RGB, "TIFF", compression="jpeg"),
    "tiff big": encode(RGB, "TIFF", big_tiff=True),
    "tiff tiles": encode(RGB, "TIFF", compression="tiff_lzw", tiffinfo={322: 16, 323: 16}),
    "gif": encode(RGB.quantize(64), "GIF", comment=b"a" * 2000),
    "gif interlaced": encode(RGB.convert("L"), "GIF", interlace=1),
    "bmp RGBA": encode(RGBA, "BMP"),
    "pfm": encode(Image.fromarray(ALPHA.astype(np.float32)), "PPM"),
    "pbm": encode(RGB.convert("1"), "PPM"),
    "ppm text": b"P3 2 2 255 " + b"1 2 3 " * 4,
    "webp profile": encode(RGB, "WEBP", icc_profile=_ICC, exif=orientation(3)),
    **{
        f"jpeg2000 {mode}": encode(image, "JPEG2000")
        for mode, image in (("RGBA", RGBA), ("L", RGB.convert("L")), ("I;16", _DEEP_GREY))
    },
    "jpeg2000 codestream": encode(RGB, "JPEG2000", no_jp2=True),
    **({"avif": encode(RGB, "AVIF"), "avif alpha": encode(RGBA, "AVIF", exif=orientation(6))} if "AVIF" in FORMATS else {}),
}
