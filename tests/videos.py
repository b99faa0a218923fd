"""Videos that tests make: a square whose place says which frame it is, a corner whose colour says which way is up, a tone."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

RATE = 25
SOUND_RATE = 48_000
MILLISECOND = Fraction(1, 1000)
STEP = 8  # pixels that the square moves from a frame to the next
CORNER = (230, 30, 40)  # of the picture, at its top left


def make_frame(number: int, size: tuple[int, int] = (48, 96)) -> np.ndarray:
    """Return the RGB picture `[H W 3]` of a frame: a red corner, and a white square that moves to the right."""
    pixels = np.full((*size, 3), 60, np.uint8)
    pixels[: size[0] // 3, : size[1] // 4] = CORNER
    left = number * STEP % (size[1] - STEP)
    pixels[-STEP:, left : left + STEP] = 255
    return pixels


def find_number(pixels: np.ndarray) -> int:
    """Return which of the first frames it is, by the place of the square."""
    return round(float(np.argmax(pixels[-STEP // 2].astype(int).sum(axis=1) > 600)) / STEP)


def make_tone(seconds: float) -> np.ndarray:
    """Return samples `[1 N]` of a tone that gets higher."""
    at = np.arange(round(seconds * SOUND_RATE)) / SOUND_RATE
    return (0.5 * np.sin(2 * np.pi * (300 + 100 * at) * at)).astype(np.float32)[None]


def write_clip(
    path: Path,
    times: list[float] | int = 10,
    *,
    size: tuple[int, int] = (48, 96),
    codec: str = "libx264",
    sound: str | None = None,
    turn: float | None = None,
    begin: float = 0.0,
    format: str | None = None,
    options: dict[str, str] | None = None,
    pix_fmt: str = "yuv420p",
    pixel: Fraction | int = 1,
) -> Path | str:
    """Write frames at `times` in seconds (or a number of them, 25 a second), with a tone in the codec `sound` as long.

    `turn`: degrees against the clock by which a player turns the picture. `begin` is added to all times. `pixel` is
    the width of a pixel by its height.
    """
    moments = [number / RATE for number in range(times)] if isinstance(times, int) else times
    with av.open(str(path), "w", format=format, options=options or {}) as container:
        pictures = container.add_stream(codec, rate=RATE)
        pictures.height, pictures.width, pictures.pix_fmt = *size, pix_fmt
        if not isinstance(times, int):
            pictures.codec_context.time_base = MILLISECOND
        pictures.codec_context.sample_aspect_ratio = Fraction(pixel)
        if turn is not None:
            pictures.set_display_rotation(turn)
        tone = container.add_stream(sound, rate=SOUND_RATE, layout="mono") if sound else None
        for number, moment in enumerate(moments):
            frame = av.VideoFrame.from_ndarray(make_frame(number, size), "rgb24")
            frame.time_base = MILLISECOND
            frame.pts = round((moment + begin) * 1000)
            container.mux(pictures.encode(frame))
        if moments:
            container.mux(pictures.encode(None))
        else:
            container.start_encoding()
        if tone is not None:
            _write_tone(container, tone, moments[-1] + 1 / RATE, begin)
    return path


def _write_tone(container, stream, seconds, begin):
    samples = make_tone(seconds)
    for first in range(0, samples.shape[1], 960):
        piece = np.ascontiguousarray(samples[:, first : first + 960])
        frame = av.AudioFrame.from_ndarray(piece, "fltp" if stream.codec_context.name == "aac" else "flt", "mono")
        frame.sample_rate, frame.time_base = SOUND_RATE, Fraction(1, SOUND_RATE)
        frame.pts = first + round(begin * SOUND_RATE)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def read_times(path: Path) -> list[float]:
    """Return the time of each frame as PyAV alone reads it."""
    with av.open(str(path)) as container:
        return [float(frame.pts * frame.time_base) for frame in container.decode(video=0)]


def read_sound(path: Path) -> np.ndarray:
    """Return the decoded samples `[1 N]`."""
    with av.open(str(path)) as container:
        return np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)


def read_packets(path: Path) -> list[bytes]:
    """Return the packets of sound as they lie in the file."""
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


def damage(content: bytes, seed: int) -> bytes:
    """Return a file that was cut off, blanked for a while, or of which some bytes were changed."""
    random = np.random.default_rng(seed)
    place = int(random.integers(len(content)))
    if seed % 3 == 0:
        return content[:place]
    changed = bytearray(content)
    if seed % 3 == 1:
        changed[place : place + 200] = bytes(len(changed[place : place + 200]))
    else:
        for at in random.integers(0, len(content), (1, 3, 30)[seed // 3 % 3]):
            changed[at] = int(random.integers(256))
    return bytes(changed)
