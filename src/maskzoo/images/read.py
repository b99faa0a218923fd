"""Read pictures: the one decoder for prediction and training, and the sources that a user may name.

Pictures are untrusted data. Only the formats of `FORMATS` are opened (no plugin that starts another program), the
size is checked against the header before a pixel is decoded, and whatever Pillow raises becomes an ImageError.
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from maskzoo.errors import ImageError
from maskzoo.images.find import describe_video
from maskzoo.images.held import Order, from_array, is_tensor, read_open_file
from maskzoo.images.jpeg_scans import check_scans
from maskzoo.images.other_kinds import describe_kind
from maskzoo.system.files import describe_address, expand_home

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "FORMATS",
    "LARGEST",
    "MAX_PIXELS",
    "UNTRUSTED_PIXELS",
    "ImageSource",
    "check_untrusted",
    "read_image",
    "read_stored",
]

ImageSource: TypeAlias = "str | Path | bytes | bytearray | memoryview | IO[bytes] | Image.Image | np.ndarray[Any, Any] | Tensor"

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
Made = TypeVar("Made")
MAX_PIXELS = 200_000_000  # 200 megapixels: above any camera of today, and about 2 GB while it is decoded
LARGEST = (1 << 32) - 1  # pixels of an image that is read by parts: a run length has 32 bits

UNTRUSTED_PIXELS = 50_000_000  # of a picture that somebody else chose: about a second and 500 MB


class _JpegFile(JpegImagePlugin.JpegImageFile):
    """Pillow's reader of one JPEG picture, without the search for a resolution in EXIF, which warns about damage."""

    def _read_dpi_from_exif(self) -> None:
        pass


_READERS: dict[str, Callable[[IO[bytes], str], Image.Image]] = {
    "JPEG": _JpegFile,
    "PNG": PngImagePlugin.PngImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "JPEG2000": Jpeg2KImagePlugin.Jpeg2KImageFile,
    "PPM": PpmImagePlugin.PpmImageFile,
}
try:
    from PIL import AvifImagePlugin
except ImportError:  # Pillow before 11.3
    pass
else:
    _READERS["AVIF"] = AvifImagePlugin.AvifImageFile
FORMATS = tuple(_READERS)  # by Pillow's names

_TRANSPOSITIONS = {  # by EXIF orientation: what turns the picture upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_DETOURS = {"P": "RGBA", "PA": "RGBA", "RGBa": "RGBA", "La": "LA"}  # no direct (or no silent) conversion to RGB
_DIRECT = frozenset({"1", "L", "LA", "RGB", "RGBX", "RGBA", "YCbCr", "HSV", "LAB"})


def read_image(source: ImageSource, *, max_pixels: int = MAX_PIXELS, order: Order = "RGB") -> Pixels:
    """Read a file, by name or open, its bytes, a PIL image, an array or a tensor as uint8 RGB `(H, W, 3)`, C-contiguous.

    The pixels are those of OpenCV's `imread` with flag 1 (in RGB order), because the published networks were trained
    and are measured with it. An EXIF orientation is applied, damaged EXIF counts as none; of an animation or a file
    of many pages the first frame is read (of a PIL image the one it stands at). What becomes of each mode:

    | mode (Pillow's name)       | pixels                                                                        |
    |----------------------------|-------------------------------------------------------------------------------|
    | RGB, RGBX                  | as stored                                                                     |
    | RGBA, LA, PA               | alpha is dropped, the colours stay as stored                                  |
    | RGBa, La                   | divided by alpha, then alpha is dropped                                       |
    | L, 1                       | the grey value three times; 1 becomes 0 and 255                               |
    | P                          | the palette's colour, a transparent entry's too                               |
    | CMYK (YCCK, Adobe's too)   | `v = 255 - k; r = v - ((c * v) >> 8)`, OpenCV's integer rule for JPEG         |
    | YCbCr, HSV, LAB            | Pillow's conversion to sRGB                                                   |
    | I;16, I;16B, I;16L, I;16N  | the high byte, `v >> 8`, three times; 16-bit colour likewise                  |
    | I                          | as 16-bit grey if every value is in 0..65535, refused otherwise               |
    | F and anything else        | refused: floating point has no agreed range                                   |

    Known differences from OpenCV: TIFF with a transparency that is not premultiplied (OpenCV multiplies), TIFF in
    16-bit colour, CMYK or YCbCr (off by one), or LAB; transparent pixels of a GIF (OpenCV paints the background);
    the orientation of AVIF (OpenCV ignores it). Orientation in XMP alone is not applied, here as there.

    Args:
        source: an array must be uint8 RGB `(H, W, 3)`, grey `(H, W)` or `(H, W, 1)`, or RGBA `(H, W, 4)`. A tensor also has
            channels first, or numbers from 0 to 1. `~` in a name is your own folder; a file that is open is read from its
            beginning, if it can go there.
        max_pixels: how many pixels an image may have; checked in the header, before decoding.
        order: "BGR" for arrays as OpenCV reads them; files say themselves what they hold.

    Returns:
        A new array; a contiguous RGB array is returned itself.

    Raises:
        ImageError: with the name of the file, if there is no such image, it is damaged or truncated, or has more than
            `max_pixels` pixels or none.
    """
    if isinstance(source, np.ndarray) or is_tensor(source):
        pixels = from_array(source, order)
        _check_size("array", pixels.shape[1], pixels.shape[0], max_pixels)
        return pixels
    if isinstance(source, Image.Image):
        name = f"PIL image {getattr(source, 'filename', '')}".rstrip()
        _load(source, name, max_pixels)
        return _to_upright_rgb(source, name)
    if hasattr(source, "read"):
        source = read_open_file(source)
    if isinstance(source, bytes | bytearray | memoryview):
        return _from_stream(io.BytesIO(source), f"image of {memoryview(source).nbytes} bytes", max_pixels, _to_upright_rgb)
    if isinstance(source, (str, os.PathLike)):
        path = source if isinstance(source, str) else Path(os.fsdecode(source))
        if address := describe_address(path):
            raise ImageError(address)
        return _from_file(expand_home(Path(path)), max_pixels, _to_upright_rgb)
    raise ImageError(
        f"image: found an object of type {type(source).__name__}; expected a path, an open file or the bytes of one, "
        "a PIL image, or a uint8 RGB array (H, W, 3)"
    )


def read_stored(path: Path, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Read a file of one page as its pixels are stored: in their own mode, no EXIF orientation applied. For masks.

    Raises ImageError as `read_image` does, and for a file of several pages.
    """

    def keep(image: Image.Image, name: str) -> Image.Image:
        if (pages := getattr(image, "n_frames", 1)) > 1:
            raise ImageError(f"{name}: {pages} pages; expected one picture; save each page as a file of its own")
        return image.copy()

    return _from_file(path, max_pixels, keep)


def check_untrusted(content: bytes, name: str) -> None:
    """Raise ImageError if a picture that a stranger chose has more than `UNTRUSTED_PIXELS`, by its header alone.

    What cannot be read is left to `read_image`, which says why.
    """
    kind = _recognise(content[:16])
    try:
        with _open(kind or "", io.BytesIO(content)) as image:
            size = image.size
    except Exception:  # on damaged bytes Pillow's plugins raise whatever their code runs into
        return
    _check_size(name, *size, UNTRUSTED_PIXELS)


def _from_file(path: Path, max_pixels: int, make: Callable[[Image.Image, str], Made]) -> Made:
    try:
        if path.is_dir():
            raise ImageError(f"{path}: is a folder; expected an image file; give the files in it one by one")
        if path.exists() and not path.is_file():  # to open a pipe would wait for its writer
            raise ImageError(f"{path}: a pipe, a socket or a device; expected an image file; save it as a file first")
        with path.open("rb") as stream:
            return _from_stream(stream, str(path), max_pixels, make)
    except FileNotFoundError:
        raise ImageError(f"{path}: no such file; expected an image file; check the spelling and the current folder") from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        raise ImageError(f"{path}: the file cannot be opened: {error}; check its permissions") from error


def _from_stream(stream: IO[bytes], name: str, max_pixels: int, make: Callable[[Image.Image, str], Made]) -> Made:
    prefix = stream.read(16)
    if not prefix:
        raise ImageError(f"{name}: is empty, 0 bytes; expected an image file; copy or download it again")
    kind = _recognise(prefix)
    if kind is None:
        if video := describe_video(Path(name), prefix):
            raise ImageError(video)
        if known := describe_kind(prefix):
            raise ImageError(f"{name}: not an image that maskzoo reads: it is {known}")
        raise ImageError(
            f"{name}: not an image that maskzoo reads: it begins with {prefix!r}; "
            f"expected one of {', '.join(FORMATS)}; save it as one of these"
        )
    try:
        with _open(kind, stream) as image:
            _check_size(name, *image.size, max_pixels)
            if kind == "JPEG" and image.info.get("progressive"):
                stream.seek(0)
                check_scans(stream.read(), image.size, name)
            _load(image, name, max_pixels, kind)
            return make(image, name)
    except ImageError:
        raise
    except Image.DecompressionBombError as error:  # plugins that check for themselves: WebP, GIF
        raise ImageError(f"{name}: too large for Pillow's {kind} reader: {error} Make it smaller first") from error
    except Exception as error:  # on damaged bytes Pillow's plugins raise whatever their code runs into
        bands = _describe_bands(stream) if kind == "TIFF" and isinstance(error, SyntaxError) else None
        raise ImageError(f"{name}: {bands}" if bands else _describe_damage(name, kind, error)) from error


def _recognise(prefix: bytes) -> str | None:
    for kind in FORMATS:
        accept = Image.OPEN[kind][1]
        if accept is not None and accept(prefix) is True:  # a text: Pillow was built without the format
            return kind
    return None


def _open(kind: str, stream: IO[bytes]) -> Image.Image:
    """Read the header only. `Image.open` is not used: its own size limit is global, and it tries every plugin."""
    stream.seek(0)
    return _READERS[kind](stream, "")  # without a file name Pillow maps no file into memory


def _load(image: Image.Image, name: str, max_pixels: int, kind: str = "") -> None:
    _check_size(name, *image.size, max_pixels)
    if kind == "TIFF":  # its reader would check Pillow's global limit while it makes this room for the pixels
        image.im = Image.new(image.mode, getattr(image, "_tile_size", image.size)).im
    try:
        image.load()
    except Exception as error:
        if kind:
            raise
        raise ImageError(_describe_damage(name, "image", error)) from error


def _to_upright_rgb(image: Image.Image, name: str) -> Pixels:
    transposition = _TRANSPOSITIONS.get(_read_orientation(image.info.get("exif")))
    if transposition is not None:
        image = image.transpose(transposition)
    return _to_rgb(image, name)


def _check_size(name: str, width: int, height: int, max_pixels: int) -> None:
    if width < 1 or height < 1:
        raise ImageError(f"{name}: has no pixels: {width} x {height}; expected at least 1 x 1")
    if width * height > max_pixels:
        raise ImageError(
            f"{name}: {width} x {height} is {width * height:,} pixels; expected at most {max_pixels:,}; "
            "make it smaller or cut it into parts, or raise max_pixels if it can be trusted"
        )


def _describe_damage(name: str, kind: str, error: Exception) -> str:
    ended = any(isinstance(one, struct.error) for one in (error, *error.args))  # Pillow wraps it
    detail = "it ends within a header" if ended else str(error) or type(error).__name__
    return f"{name}: the {kind} is damaged or truncated: {detail}; expected a whole file; copy or download it again"


def _describe_bands(stream: IO[bytes]) -> str | None:
    """Say what a TIFF's pixels are that Pillow has no mode for; None if its directory cannot be read, or says it otherwise."""
    try:
        stream.seek(0)
        header = stream.read(8)
        header += stream.read(8) if header[2] == 43 else b""  # BigTIFF
        directory = TiffImagePlugin.ImageFileDirectory_v2(header)
        stream.seek(directory.next)
        directory.load(stream)
        bands, bits = int(directory.get(277, 1)), sorted(set(directory.get(258, (1,))))
        kind = {2: " with a sign", 3: " of floating point"}.get(directory.get(339, (1,))[0], "")
    except Exception:  # as Pillow's plugins, its directories raise whatever their code runs into
        return None
    if bands in (1, 3, 4) and bits in ([8], [16]) and not kind:
        return None
    what = f"{bands} {'band' if bands == 1 else 'bands'} of {' and '.join(map(str, bits))} bits{kind}"
    return f"the TIFF has {what}; expected 1, 3 or 4 bands of 8 or 16 bits; choose the bands to look at and save these alone"


def _read_orientation(exif: object) -> int:
    """Find the orientation (tag 0x0112 of the first directory) in an EXIF block; 1 without one or if damaged."""
    if not isinstance(exif, bytes):
        return 1
    block = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    try:
        if order is not None:
            (start,) = struct.unpack_from(order + "I", block, 4)
            (count,) = struct.unpack_from(order + "H", block, start)
            for entry in range(start + 2, start + 2 + 12 * count, 12):
                tag, _, _, value = struct.unpack_from(order + "HHIH", block, entry)
                if tag == 0x0112:
                    return int(value)
    except struct.error:
        pass
    return 1


def _to_rgb(image: Image.Image, name: str) -> Pixels:
    mode = image.mode
    if mode == "CMYK":
        return _mix_cmyk(np.asarray(image))
    if mode == "I" or mode.startswith("I;16"):
        values = np.asarray(image)
        if mode == "I" and (values.min() < 0 or values.max() > 0xFFFF):
            raise ImageError(
                f"{name}: 32-bit values from {values.min()} to {values.max()}; expected 0..65535; "
                "scale them to 8 or 16 bits first"
            )
        return np.repeat((values >> 8).astype(np.uint8)[:, :, None], 3, axis=2)
    if mode not in _DIRECT and mode not in _DETOURS:
        raise ImageError(
            f"{name}: pixels of Pillow's mode {mode} have no agreed range; expected whole numbers of 8 or 16 bits; "
            "scale them to 0..255 and save as 8 bits"
        )
    if mode in _DETOURS:
        image = image.convert(_DETOURS[mode])
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


def _mix_cmyk(cmyk: Pixels) -> Pixels:
    """OpenCV's rule: light = 255 - black; each colour is light * (1 - ink / 256), in whole numbers."""
    light = 255 - cmyk[:, :, 3:].astype(np.uint16)
    return (light - ((cmyk[:, :, :3] * light) >> 8)).astype(np.uint8)
