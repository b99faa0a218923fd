"""A large image read by windows: the pixels of a rectangle, without those of the rest where the file's form allows it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from maskzoo.errors import ImageError
from maskzoo.images.held import Order
from maskzoo.images.read import LARGEST, MAX_PIXELS, ImageSource, read_image
from maskzoo.system.files import expand_home
from maskzoo.system.packages import import_extra

__all__ = ["DecodedImage", "ImageWindows", "open_windows", "shrink_image"]

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
CACHE_BYTES = 256 << 20  # of decoded tiles or strips: a row of windows asks for the same ones again
JPEG = 7  # TIFF's number of the compression
TIFF_BYTES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the last two are BigTIFF's
STRIP = 512  # rows that are shrunk at once


class ImageWindows(Protocol):
    """An image of which rectangles can be read; `size` is its height, width."""

    size: tuple[int, int]

    def read(self, left: int, top: int, right: int, bottom: int) -> Pixels:
        """Return the pixels from `left`, `top` up to `right`, `bottom`, RGB uint8 `[H W 3]`. Raises ImageError."""
        ...


class DecodedImage:
    """An image whose pixels are in memory."""

    def __init__(self, pixels: Pixels) -> None:
        self.pixels, self.size = pixels, (pixels.shape[0], pixels.shape[1])

    def read(self, left: int, top: int, right: int, bottom: int) -> Pixels:
        return self.pixels[top:bottom, left:right]


class TiffWindows:
    """The first page of a TIFF, in RGB or grey of 8 or 16 bits, read tile by tile or strip by strip.

    Of 16 bits the upper eight count, and alpha is dropped: what `read_image` does with them.
    """

    def __init__(self, page: Any, name: str) -> None:
        self.page, self.name = page, name
        self.size = (int(page.imagelength), int(page.imagewidth))
        self.segment = (page.tilelength, page.tilewidth) if page.is_tiled else (page.rowsperstrip, self.size[1])
        self.grid = tuple(-(-side // step) for side, step in zip(self.size, self.segment, strict=True))
        self._cache: OrderedDict[int, Pixels] = OrderedDict()
        self._held = 0

    def read(self, left: int, top: int, right: int, bottom: int) -> Pixels:
        window = np.zeros((bottom - top, right - left, 3), np.uint8)
        height, width = self.segment
        for row in range(top // height, -(-bottom // height)):
            for column in range(left // width, -(-right // width)):
                pixels, y, x = self._read_segment(row * self.grid[1] + column), row * height, column * width
                y1, y2 = max(y, top), min(y + pixels.shape[0], bottom)
                x1, x2 = max(x, left), min(x + pixels.shape[1], right)
                window[y1 - top : y2 - top, x1 - left : x2 - left] = pixels[y1 - y : y2 - y, x1 - x : x2 - x]
        return window

    def _read_segment(self, number: int) -> Pixels:
        """The pixels of one tile or strip: grey `[h w 1]` or RGB `[h w 3]`; kept until others need the room."""
        if number in self._cache:
            self._cache.move_to_end(number)
            return self._cache[number]
        pixels = np.concatenate([self._decode(plane) for plane in self._find_planes(number)], axis=2)
        pixels = pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)
        pixels = np.ascontiguousarray(pixels[:, :, : 3 if pixels.shape[2] >= 3 else 1])
        self._cache[number] = pixels
        self._held += pixels.nbytes
        while self._held > CACHE_BYTES and len(self._cache) > 1:
            self._held -= self._cache.popitem(last=False)[1].nbytes
        return pixels

    def _find_planes(self, number: int) -> list[int]:
        """Where the file has the segment: once, or once for each colour that is stored apart."""
        planes = 1 if self.page.planarconfig == 1 else self.page.samplesperpixel
        return [number + plane * self.grid[0] * self.grid[1] for plane in range(planes)]

    def _decode(self, number: int) -> np.ndarray[Any, Any]:
        file, page = self.page.parent.filehandle, self.page
        try:
            decode = page.decode  # it may read from the file when it is made
            file.seek(page.dataoffsets[number])
            content = file.read(page.databytecounts[number])
            if len(content) < page.databytecounts[number]:
                raise EOFError(f"{len(content)} of {page.databytecounts[number]} bytes are there")
            tables = {"jpegtables": page.jpegtables, "jpegheader": page.jpegheader} if page.compression == JPEG else {}
            pixels, _, shape = decode(content or None, number, **tables)
        except Exception as error:  # on damaged bytes codecs raise whatever their code runs into
            detail = str(error) or type(error).__name__
            raise ImageError(
                f"{self.name}: part {number} of the TIFF is damaged or truncated: {detail}; expected it whole; copy it again"
            ) from error
        if pixels is None:  # a part that was never written
            return np.zeros(shape[1:], self.page.dtype)
        return np.asarray(pixels[0, : shape[1], : shape[2]])


@contextmanager
def open_windows(source: ImageSource, order: Order = "RGB") -> Iterator[ImageWindows]:
    """Open an image to read it by windows; its pixels are those of `read_image`.

    A TIFF in grey or RGB of 8 or 16 bits is read by its own tiles or strips, and may have up to 4,294 megapixels. Anything
    else, and a TIFF whose pixels stand in one piece, is decoded as a whole, at most `MAX_PIXELS` of it.

    Raises:
        ImageError: as `read_image`.
        MissingPackageError: tifffile is not installed, and the image is a TIFF.
    """
    path = expand_home(Path(source)) if isinstance(source, str | Path) else None
    if path is None or not _is_tiff(path):
        yield DecodedImage(read_image(source, order=order))
        return
    tifffile = import_extra("tifffile")
    try:
        file = tifffile.TiffFile(path)
        page = file.pages.first
    except Exception as error:  # as its codecs, tifffile raises whatever its code runs into
        raise ImageError(f"{path}: the TIFF is damaged or truncated: {error}; expected a whole file; copy it again") from error
    with file:
        yield TiffWindows(page, str(path)) if _suits(page, str(path)) else DecodedImage(read_image(path))


def shrink_image(windows: ImageWindows, factor: int) -> Pixels:
    """Return the whole image with sides divided by `factor`, rounded up; each pixel is the mean of what it stands for."""
    height, width = windows.size
    if factor == 1:
        return windows.read(0, 0, width, height)
    small = np.empty((-(-height // factor), -(-width // factor), 3), np.uint8)
    step = max(1, STRIP // factor) * factor
    for top in range(0, height, step):
        strip = windows.read(0, top, width, min(height, top + step))
        whole = cv2.copyMakeBorder(strip, 0, -len(strip) % factor, 0, -width % factor, cv2.BORDER_REPLICATE)
        rows = small[top // factor : top // factor + len(whole) // factor]
        rows[:] = cv2.resize(whole, (rows.shape[1], rows.shape[0]), interpolation=cv2.INTER_AREA)
    return small


def _is_tiff(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return stream.read(4) in TIFF_BYTES
    except (OSError, ValueError):
        return False  # `read_image` says what is wrong with it


def _suits(page: Any, name: str) -> bool:
    """Whether windows of a page can be read by parts; raises ImageError if a part of it is too large, or the whole is."""
    part = page.tilelength * page.tilewidth if page.is_tiled else page.rowsperstrip * page.imagewidth
    orientation = page.tags.get(274)
    bands = {1: (1, 2), 2: (3, 4), 6: (3,) if page.compression == JPEG else ()}  # grey, RGB, the colours of JPEG
    plain = (
        page.samplesperpixel in bands.get(page.photometric, ())
        and page.dtype in (np.uint8, np.uint16)
        and page.imagedepth == 1
        and (orientation is None or orientation.value == 1)
    )
    if not plain or part >= page.imagelength * page.imagewidth:
        return False
    for what, pixels, most in (("one part of it", part, MAX_PIXELS), ("it", page.imagelength * page.imagewidth, LARGEST)):
        if pixels > most:
            raise ImageError(
                f"{name}: {page.imagewidth} x {page.imagelength}, and {what} has {pixels:,} pixels; expected at most {most:,}; "
                "save it again in tiles, or cut it into several files"
            )
    return True
