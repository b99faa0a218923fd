"""The frames of a video: upright, in their order, each with its number and time; one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from maskzoo.errors import ArgumentError, ImageError, count_words
from maskzoo.images.read import MAX_PIXELS
from maskzoo.system.packages import import_extra
from maskzoo.video.source import VideoSource, explain, open_source

__all__ = ["Frame", "VideoReader"]

Pixels = NDArray[np.uint8]
USUAL_RATE = Fraction(25)  # frames a second, of a video that does not say
MICROSECOND = Fraction(1, 1_000_000)  # FFmpeg's unit of a container's beginning
UNTOLD = 2  # the colours of a video that does not say whose they are: BT.709's from this height on, as players do
HIGH_DEFINITION = 720


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame: its `number` in the video from 0, its `time` in seconds from the beginning, RGB `pixels` uint8 `[H W 3]`."""

    number: int
    time: float
    pixels: Pixels


class VideoReader:
    """Reads a file, a camera or a stream, each `every`-th frame of it; to be closed, as by `with`.

    `rate`: frames a second, on average. `start`: what it calls its first moment, in seconds, from which times are counted.
    `frames_told`: how many will come, as the file says; None if it does not. `pixel`: width of an upright pixel by its height.
    `taken` counts the frames that were yielded, `fault` says what could not be read of it.

    Raises ArgumentError if `every` is below 1, SourceError if it is not there, ImageError if it is no video or has no
    pictures, MaskzooError without PyAV.
    """

    def __init__(self, source: VideoSource, every: int = 1) -> None:
        if every < 1:
            raise ArgumentError(f"every (--every): found {every}; expected 1 or more")
        self.source, self.every, self.name, self.live = source, every, source.name, source.live
        self.taken, self.fault = 0, ""
        self._container = open_source(source)
        try:
            self._stream = self._find_pictures()
        except BaseException:
            self.close()
            raise
        stream = self._stream
        stream.thread_type = "AUTO"
        self.rate: Fraction = stream.average_rate or stream.guessed_rate or USUAL_RATE
        self.time_base: Fraction = stream.time_base
        self.pixel: Fraction = stream.sample_aspect_ratio or Fraction(1)
        self.start = max(self._container.start_time or 0, 0) * MICROSECOND
        count = None if source.live else self._count()
        self.frames_told = None if count is None else -(-count // every)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the file or the connection; not while another thread reads."""
        self._container.close()

    @property
    def sound(self) -> Path | None:
        """The file that sound can be copied from; None if there is none."""
        return self.source.file if self._container.streams.audio else None

    def frames(self) -> Iterator[Frame]:
        """Yield the frames in their order; what is damaged is passed over, and counted in `fault` at the end.

        Raises ImageError if there is none at all, or one is too large.
        """
        number = -1
        for number, decoded in enumerate(self._decode()):
            if number % self.every == 0:
                self.taken += 1
                yield Frame(number, self._find_time(decoded, number), self._to_pixels(decoded))
        told = self._stream.frames
        if number < 0:
            raise ImageError(f"{self.fault or self.name}: holds no frame; expected a video; make it anew")
        if not self.fault and number + 1 < told:
            self.fault = f"{self.name}: ends after {number + 1:,} of {count_words(told, 'frame')}; copy or download it again"

    def _find_pictures(self) -> Any:
        streams = [stream for stream in self._container.streams.video if not _is_cover(stream)]
        if not streams:
            what = "sound, but no pictures" if self._container.streams.audio else "no pictures"
            raise ImageError(f"{self.name}: holds {what}; expected a video")
        return streams[0]

    def _count(self) -> int | None:
        if self._stream.frames:
            return int(self._stream.frames)
        duration = self._container.duration
        return round(duration * MICROSECOND * self.rate) or None if duration else None

    def _decode(self) -> Iterator[Any]:
        """Yield the decoded frames; damage ends at the next packet, a broken connection ends the video."""
        av, damaged, first = import_extra("av"), 0, ""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except av.error.FFmpegError as error:
                self.fault = f"{self.name}: ends before its time: {explain(error)}"
                return
            if packet is None:
                break
            try:
                yield from packet.decode()
            except av.error.FFmpegError as error:  # of damage some decoders say that an argument is wrong, or not permitted
                damaged, first = damaged + 1, first or explain(error)
        if damaged:
            self.fault = f"{self.name}: {count_words(damaged, 'piece')} cannot be decoded: {first}; copy or download it again"

    def _find_time(self, decoded: Any, number: int) -> float:
        if decoded.pts is None:
            return float(number / self.rate)
        return float(decoded.pts * (decoded.time_base or self.time_base) - self.start)

    def _to_pixels(self, decoded: Any) -> Pixels:
        if decoded.width * decoded.height > MAX_PIXELS:
            raise ImageError(
                f"{self.name}: frames of {decoded.width} x {decoded.height} pixels; expected at most {MAX_PIXELS:,} in all; "
                "make it smaller first"
            )
        told = decoded.colorspace != UNTOLD or decoded.height < HIGH_DEFINITION
        pixels: Pixels = decoded.to_ndarray(format="rgb24", src_colorspace=None if told else "ITU709")
        turn = next((bytes(data) for data in decoded.side_data if data.type.name == "DISPLAYMATRIX"), None)
        if turn is not None:
            pixels = turn_upright(pixels, turn)
            if pixels.shape[0] != decoded.height:
                self.pixel = 1 / (self._stream.sample_aspect_ratio or Fraction(1))
        return pixels


def turn_upright(pixels: Pixels, matrix: bytes) -> Pixels:
    """Turn and mirror a picture as a display matrix says, by the multiple of a right angle that comes nearest.

    The matrix is FFmpeg's, nine native 32-bit numbers a b u c d v x y w: a pixel goes to a*x + c*y across, b*x + d*y down.
    """
    a, b, _, c, d = np.frombuffer(matrix, np.int32)[:5].tolist()
    if abs(b) > abs(a):
        pixels, across, down = pixels.swapaxes(0, 1), c, b
    else:
        across, down = a, d
    return np.ascontiguousarray(pixels[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1])


def _is_cover(stream: Any) -> bool:
    """Whether it is the picture on the cover of a piece of music."""
    return "attached_pic" in str(stream.disposition)
