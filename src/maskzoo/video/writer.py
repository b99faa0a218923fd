"""A video file of pictures at their times, with the sound of the video that they come from."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskzoo.drawing.picture_file import MARK
from maskzoo.errors import MaskzooError, count_words
from maskzoo.system.files import explained, replacing
from maskzoo.system.packages import import_extra
from maskzoo.video.reader import VideoReader
from maskzoo.video.source import VideoSource, explain, open_source

__all__ = ["FORMATS", "VideoWriter", "is_drawn_video", "write_video"]

FORMATS = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".mkv": "matroska",
    ".webm": "webm",
}  # those that keep each frame's time
LIMITED, BT709 = 1, 1  # FFmpeg's numbers of how colours are written: as in television of high definition
EVEN = 2  # H.264 halves the colours' height and width
FINEST = 1_000_000  # parts of a second that times are written in


@contextmanager
def write_video(path: Path, source: VideoReader) -> Iterator[VideoWriter]:
    """Yield the writer of a video that takes its name at the end of the block; the old file stays if that fails.

    Sound is copied from the source's file, as it is. Raises MaskzooError if it cannot be written, or PyAV is missing.
    """
    av = import_extra("av")
    with explained(path), replacing(path) as (part, _):
        try:
            with ExitStack() as stack:
                writer = VideoWriter(path, part, source, stack)
                yield writer
                writer.finish()
        except av.error.FFmpegError as error:
            raise MaskzooError(
                f"{path}: cannot be written: {explain(error)}; make room there, or choose another --out"
            ) from error


def is_drawn_video(path: Path) -> bool:
    """Return whether a file is a video that `write_video` wrote."""
    try:
        with open_source(VideoSource.parse(path)) as container:
            return MARK.decode() in container.metadata.values()  # Matroska writes the name of it in capitals
    except MaskzooError:
        return False


class VideoWriter:
    """Encodes pictures; `note` says what of the source's sound the file cannot hold."""

    def __init__(self, path: Path, part: Path, source: VideoReader, stack: ExitStack) -> None:
        self._av = import_extra("av")
        self.note, self._source, self._finished = "", source, False
        kind = FORMATS[path.suffix.lower()]
        self._container = stack.enter_context(self._av.open(f"file:{part}", "w", format=kind))
        self._container.metadata["comment"] = MARK.decode()
        self._pictures = self._container.add_stream(
            self._container.default_video_codec, rate=source.rate.limit_denominator(1001)
        )
        self._last = -1
        self._sound = _Sound(source, self._container, stack)
        if self._sound.lost:
            self.note = f"{path}: its sound is left out, because {kind} cannot hold {', '.join(self._sound.lost)}; choose .mkv"

    def write(self, pixels: NDArray[np.uint8], time: float) -> None:
        """Add a picture, RGB uint8 `[H W 3]`, at its time in seconds; all get the first one's size."""
        height, width = pixels.shape[:2]
        if height % EVEN or width % EVEN:
            pixels = np.pad(pixels, ((0, height % EVEN), (0, width % EVEN), (0, 0)), mode="edge")
        if self._last < 0:
            self._begin(pixels.shape[0], pixels.shape[1])
        context = self._pictures.codec_context
        frame = self._av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(
            context.width, context.height, "yuv420p", dst_colorspace="ITU709", dst_color_range=LIMITED
        )
        base = context.time_base
        # A time that is not after the last one's would be refused: the least step then.
        self._last = frame.pts = max(round(time / float(base)), self._last + 1)
        frame.time_base = base
        self._container.mux(self._pictures.encode(frame))
        self._sound.copy(until=time)

    def finish(self, *, cut: bool = False) -> None:
        """Write what the encoder still holds, and the rest of the sound unless it is `cut` at the last picture."""
        if not self._finished:
            self._finished = True
            self._container.mux(self._pictures.encode(None))
            if not cut:
                self._sound.copy(until=None)
            if self._sound.damaged and not self._source.fault:
                self._source.fault = (
                    f"{self._source.name}: {count_words(self._sound.damaged, 'piece')} of its sound cannot be copied"
                )

    def _begin(self, height: int, width: int) -> None:
        context = self._pictures.codec_context
        context.height, context.width, context.pix_fmt = height, width, "yuv420p"
        context.time_base = max(self._source.time_base, Fraction(1, FINEST))
        context.sample_aspect_ratio = self._source.pixel  # that of the frame that was just read
        context.color_range, context.colorspace = LIMITED, BT709
        context.color_primaries, context.color_trc = BT709, BT709


class _Sound:
    """Copies the packets of sound, undecoded, beside the pictures: as far as these are, so that neither waits in memory.

    `lost` names the codecs that the file's format cannot hold, `damaged` counts packets that it refuses.
    """

    def __init__(self, source: VideoReader, output: Any, stack: ExitStack) -> None:
        self._output, self._start, self._error = output, source.start, import_extra("av").error
        self.lost: list[str] = []
        self.damaged = 0
        self._targets: dict[int, Any] = {}
        self._packets: Iterator[Any] = iter(())
        self._waiting: Any = None
        if source.sound is None:
            return
        container = stack.enter_context(open_source(source.source))
        for stream in container.streams.audio:
            if _can_hold(output.format.name, stream):
                self._targets[stream.index] = output.add_stream_from_template(stream)
            else:
                self.lost.append(stream.codec_context.name if stream.codec_context else "an unknown codec")
        if self._targets:
            self._packets = container.demux([container.streams[index] for index in self._targets])
            self._waiting = self._take()

    def copy(self, until: float | None) -> None:
        """Copy what begins up to a time in seconds; all that is left if None."""
        while self._waiting is not None:
            packet = self._waiting
            if until is not None and packet.dts * packet.time_base - self._start > until:
                return
            shift = round(self._start / packet.time_base)
            packet.dts -= shift
            packet.pts = packet.dts if packet.pts is None else packet.pts - shift
            packet.stream = self._targets[packet.stream.index]
            try:
                self._output.mux(packet)
            except (
                self._error.ArgumentError,
                self._error.InvalidDataError,
                self._error.PatchWelcomeError,
            ):  # no fault of the new file's
                self.damaged += 1
            self._waiting = self._take()

    def _take(self) -> Any:
        """Return the next packet that has a time; None at the end, or where the sound is damaged."""
        try:
            return next((packet for packet in self._packets if packet.dts is not None), None)
        except self._error.FFmpegError:
            return None  # the reader of the pictures meets the same damage, and tells of it


def _can_hold(kind: str, stream: Any) -> bool:
    """Return whether a file of FFmpeg's format `kind` takes this sound, which some say only when they write their beginning."""
    av = import_extra("av")
    try:
        with av.open(io.BytesIO(), "w", format=kind) as trial:
            trial.add_stream_from_template(stream)
            trial.start_encoding()
    except (ValueError, av.error.FFmpegError):
        return False
    return True
