"""What a video is called: a file, a camera's number or device, the address of a stream; and how it is opened."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from maskzoo.errors import ImageError, SourceError
from maskzoo.images.find import VIDEO_SUFFIXES, describe_video
from maskzoo.system.files import STREAMS, expand_home
from maskzoo.system.packages import import_extra

__all__ = ["VideoSource", "explain", "is_video", "open_source"]

WAIT = (10.0, 15.0)  # seconds that an address may take to answer, and then be silent
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_CAMERA = re.compile(r"(/dev/video)?\d+")
_LISTS = (".m3u8", ".mpd", ".ts", ".mjpg", ".mjpeg")  # of a web server, whose `.ts` is no program
_FORMATS = (  # of files: nothing that opens other files, draws text, or asks a device
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,mpeg,mpegts,mpegvideo,h264,hevc,asf,gif,ogg,mp3,wav,flac,aac"
)
_FETCHED = ("http", "https", "tcp")
_CAMERA_FORMATS = {"linux": "v4l2", "darwin": "avfoundation"}


@dataclass(frozen=True, slots=True)
class VideoSource:
    """A video as FFmpeg opens it: `address`, in `format` (None: what it is found to be), and the `name` that people see.

    `file` is its path, if it is a file. `live`: frames come when they come, whether somebody takes them or not.
    """

    name: str
    address: str
    format: str | None = None
    file: Path | None = None
    live: bool = False

    @classmethod
    def parse(cls, source: str | Path) -> VideoSource:
        """Return what a file's path, a camera's number or device, or an address means. Passwords are not in its name."""
        text = str(source)
        path = expand_home(Path(source))
        if path.is_file():
            return cls(text, f"file:{path}", file=path)
        if _ADDRESS.match(text):
            parts = urlsplit(text)
            host = parts.netloc.rpartition("@")[2]
            return cls(parts._replace(netloc=host, query="").geturl(), text, live=parts.scheme.lower() in STREAMS)
        if _CAMERA.fullmatch(text):
            device = f"/dev/video{text}" if text.isdecimal() and sys.platform == "linux" else text
            return cls(f"camera {text}", device, _CAMERA_FORMATS.get(sys.platform), live=True)
        raise SourceError(
            f"{text!r}: no such file; expected a video, the number of a camera (0) or the address of a stream (rtsp://...); "
            "check the spelling and the current folder"
        )

    @property
    def stem(self) -> str:
        """What files about it are called: a file's own stem, `camera-0`, `rtsp`."""
        return self.file.stem if self.file else re.sub(r"\W+", "-", self.name.partition("://")[0])


def is_video(source: str) -> bool:
    """Return whether it names a video, a camera or a stream by its look: what else `predict` takes are images."""
    path = expand_home(Path(source))
    if _ADDRESS.match(source) and not path.exists():
        parts = urlsplit(source)
        known = Path(parts.path).suffix.lower() in {*VIDEO_SUFFIXES, *_LISTS}
        scheme = parts.scheme.lower()
        return scheme in STREAMS or scheme == "tcp" or (scheme in _FETCHED and known)
    if _CAMERA.fullmatch(source):
        return not path.is_file() and not path.is_dir()
    if path.is_dir():
        return False
    try:
        with path.open("rb") as stream:
            prefix = stream.read(16)
    except (OSError, ValueError):
        prefix = b""
    return describe_video(path, prefix) is not None


def open_source(source: VideoSource) -> Any:
    """Return PyAV's container of a source. Raises SourceError if it cannot be reached, ImageError if it is no video."""
    av = import_extra("av")
    options = {"protocol_whitelist": "file", "format_whitelist": _FORMATS} if source.file else {}
    if source.address.lower().startswith("rtsp"):
        options["rtsp_transport"] = "tcp"  # whole pictures, later, rather than torn ones at once
    if source.live and not source.file and source.format is None and not _ADDRESS.match(source.address):
        raise SourceError(f"{source.name}: cameras are opened on Linux and macOS; pass its frames as arrays to predict()")
    try:
        return av.open(
            source.address,
            format=source.format,
            options=options,
            timeout=None if source.file else WAIT,
            metadata_errors="replace",
        )
    except (av.error.FFmpegError, OSError) as error:
        if isinstance(error, av.error.InvalidDataError) or (source.file and os.access(source.file, os.R_OK)):
            raise ImageError(  # whatever FFmpeg calls it: damage has many names there
                f"{source.name}: cannot be read as a video: {explain(error)}; expected a whole file that FFmpeg reads; "
                "copy or download it again, or make it anew: ffmpeg -i IN OUT.mp4"
            ) from error
        if source.file:
            advice = "check its permissions"
        elif source.format:
            advice = "expected a camera that no other program uses; this machine's are /dev/video0 and so on"
        else:
            advice = "check the address, and that it is running"
        raise SourceError(f"{source.name}: cannot be opened: {explain(error)}; {advice}") from error


def explain(error: Any) -> str:
    """Return what FFmpeg says of an error, without the address, which may hold a password."""
    return str(getattr(error, "strerror", None) or error)
