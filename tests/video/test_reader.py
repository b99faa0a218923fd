"""Frames against what was written: their number, order, times, way up, colours; and what of a damaged video is told."""

import struct
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from maskzoo.errors import ImageError
from maskzoo.video.reader import VideoReader, turn_upright
from maskzoo.video.source import VideoSource
from videos import CORNER, RATE, damage, find_number, make_frame, write_clip


def read(path: Path, every: int = 1):
    with VideoReader(VideoSource.parse(path), every) as reader:
        return list(reader.frames()), reader


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [(".mp4", "libx264"), (".mkv", "libx265"), (".webm", "libvpx-vp9"), (".avi", "mpeg4"), (".mpg", "mpeg2video")],
)
def test_every_frame_is_read_once_in_its_order_at_its_time(suffix, codec, tmp_path):
    frames, reader = read(write_clip(tmp_path / f"clip{suffix}", 10, codec=codec))
    assert [frame.number for frame in frames] == [find_number(frame.pixels) for frame in frames] == list(range(10))
    assert [frame.time - frames[0].time for frame in frames] == pytest.approx([number / RATE for number in range(10)], abs=2e-3)
    assert reader.rate == RATE and reader.fault == "" and reader.taken == 10


def test_times_of_a_variable_frame_rate_are_those_that_were_written(tmp_path):
    times = [0.0, 0.04, 0.05, 0.3, 0.7, 0.701, 2.0]
    for suffix in (".mp4", ".mkv"):
        frames, _ = read(write_clip(tmp_path / f"clip{suffix}", times))
        assert [frame.time for frame in frames] == pytest.approx(times, abs=1e-9)


def test_times_count_from_the_beginning_of_a_video_that_begins_later(tmp_path):
    frames, reader = read(write_clip(tmp_path / "clip.ts", [0.0, 0.5, 0.9], begin=7.0))
    assert float(reader.start) == pytest.approx(7.0)
    assert [frame.time for frame in frames] == pytest.approx([0.0, 0.5, 0.9])


def test_every_nth_frame_keeps_its_own_number_and_time(tmp_path):
    frames, reader = read(write_clip(tmp_path / "clip.mp4", 10), every=4)
    assert [(frame.number, find_number(frame.pixels)) for frame in frames] == [(0, 0), (4, 4), (8, 8)]
    assert [frame.time for frame in frames] == pytest.approx([0, 4 / RATE, 8 / RATE]) and reader.taken == 3


def where_is_the_corner(pixels: np.ndarray) -> str:
    height, width = pixels.shape[:2]
    places = {
        "top left": (4, 4),
        "top right": (4, width - 5),
        "bottom left": (height - 5, 4),
        "bottom right": (height - 5, width - 5),
    }
    red = {name: int(pixels[y, x, 0]) - int(pixels[y, x, 1]) for name, (y, x) in places.items()}
    return max(red, key=red.get)


@pytest.mark.parametrize(
    ("turn", "size", "corner"),
    [(0, (48, 96), "top left"), (-90, (96, 48), "top right"), (180, (48, 96), "bottom right"), (90, (96, 48), "bottom left")],
)
def test_a_turned_video_is_read_upright(turn, size, corner, tmp_path):
    frames, _ = read(write_clip(tmp_path / "clip.mp4", 3, turn=turn))
    assert frames[0].pixels.shape == (*size, 3)
    assert where_is_the_corner(frames[0].pixels) == corner


def test_a_telephone_held_upright_writes_the_matrix_of_a_quarter_turn_with_the_clock(tmp_path):
    """The nine numbers of an MP4's track header (ISO 14496-12, 8.3.2), put there byte by byte."""
    path = write_clip(tmp_path / "clip.mp4", 3)
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + 4 + 40
    straight, turned = (0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000), (0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000)
    assert struct.unpack_from(">9i", content, place) == straight
    struct.pack_into(">9i", content, place, *turned)
    path.write_bytes(content)
    frames, _ = read(path)
    assert frames[0].pixels.shape == (96, 48, 3) and where_is_the_corner(frames[0].pixels) == "top right"


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ((1, 0, 0, 1), [[1, 2, 3], [4, 5, 6]]),
        ((-1, 0, 0, 1), [[3, 2, 1], [6, 5, 4]]),
        ((1, 0, 0, -1), [[4, 5, 6], [1, 2, 3]]),
        ((0, 1, 1, 0), [[1, 4], [2, 5], [3, 6]]),
        ((0, 1, -1, 0), [[4, 1], [5, 2], [6, 3]]),
    ],
)
def test_mirrored_pictures_are_turned_too(numbers, expected):
    a, b, c, d = (number * 65536 for number in numbers)
    matrix = np.array([a, b, 0, c, d, 0, 0, 0, 1 << 30], np.int32).tobytes()
    assert turn_upright(np.array([[1, 2, 3], [4, 5, 6]], np.uint8), matrix).tolist() == expected


@pytest.mark.parametrize(
    ("codec", "pix_fmt"), [("ffv1", "yuv420p"), ("ffv1", "yuv444p"), ("ffv1", "yuv420p10le"), ("mjpeg", "yuvj420p")]
)
def test_colours_are_those_that_were_written(codec, pix_fmt, tmp_path):
    frames, _ = read(write_clip(tmp_path / "clip.mkv", 3, codec=codec, pix_fmt=pix_fmt))
    assert np.abs(frames[0].pixels[5, 5].astype(int) - CORNER).max() <= 4
    assert np.abs(frames[0].pixels[20, 60].astype(int) - make_frame(0)[20, 60]).max() <= 2


def test_sides_may_be_odd_and_a_gif_is_a_video_too(tmp_path):
    frames, _ = read(write_clip(tmp_path / "clip.mkv", 3, codec="ffv1", size=(47, 95)))
    assert {frame.pixels.shape for frame in frames} == {(47, 95, 3)}
    pictures = [Image.fromarray(make_frame(number)) for number in range(4)]
    pictures[0].save(tmp_path / "moving.gif", save_all=True, append_images=pictures[1:], duration=[100, 300, 200, 100], loop=0)
    frames, _ = read(tmp_path / "moving.gif")
    assert [find_number(frame.pixels) for frame in frames] == [0, 1, 2, 3]
    assert [frame.time for frame in frames] == pytest.approx([0, 0.1, 0.4, 0.6])


def test_of_a_file_that_was_cut_off_the_whole_frames_are_read_and_the_rest_is_told(tmp_path):
    path = write_clip(tmp_path / "clip.mov", 40, codec="mjpeg", pix_fmt="yuvj420p", options={"movflags": "faststart"})
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 3 // 5])
    frames, reader = read(path)
    assert 3 < len(frames) < 40 and [frame.number for frame in frames] == list(range(len(frames)))
    assert reader.fault.startswith(f"{path}: ") and reader.fault.endswith("copy or download it again")


def test_a_damaged_piece_in_the_middle_is_counted_and_what_follows_is_read(tmp_path):
    path = write_clip(tmp_path / "clip.avi", 11, codec="png", pix_fmt="rgb24")
    content = bytearray(path.read_bytes())
    places = [place for place in range(len(content)) if content[place : place + 4] == b"\x89PNG"]
    content[places[5] : places[5] + 60] = bytes(60)
    path.write_bytes(content)
    frames, reader = read(path)
    seen = [find_number(frame.pixels) for frame in frames]
    assert seen == sorted(set(seen)) and {0, 1, 2, 3, 4, 8, 9, 10} <= set(seen) and 5 not in seen
    assert [frame.time for frame in frames] == pytest.approx([number / RATE for number in seen], abs=1e-3)
    assert "1 piece cannot be decoded" in reader.fault


def test_what_holds_no_pictures_is_refused_by_what_it_holds(tmp_path):
    with av.open(str(tmp_path / "song.mp3"), "w") as container:
        stream = container.add_stream("libmp3lame", rate=44100, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4410), np.float32), "fltp", "mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(ImageError, match=r"song\.mp3: holds sound, but no pictures"):
        read(tmp_path / "song.mp3")
    empty = write_clip(tmp_path / "empty.avi", 0, codec="mpeg4")
    with pytest.raises(ImageError, match=r"empty\.avi: holds no frame"):
        read(empty)
    (tmp_path / "words.mp4").write_text("not a video at all, but long enough to be looked at" * 20)
    with pytest.raises(ImageError, match=r"words\.mp4: cannot be read as a video"):
        read(tmp_path / "words.mp4")
    (tmp_path / "list.m3u8").write_text("#EXTM3U\n#EXTINF:1,\n/etc/passwd\n#EXT-X-ENDLIST\n")
    with pytest.raises(ImageError, match=r"list\.m3u8: cannot be read as a video"):
        read(tmp_path / "list.m3u8")


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [("mp4", "libx264"), ("mkv", "mpeg4"), ("webm", "libvpx"), ("gif", "gif"), ("flv", "flv1"), ("ts", "libx264")],
)
def test_whatever_is_damaged_is_told_as_a_fault_of_the_file(suffix, codec, tmp_path):
    """FFmpeg's decoders say of damage what they like: a wrong argument, no permission, no memory, no decoder."""
    clip = tmp_path / f"clip.{suffix}"
    content = Path(write_clip(clip, 6, codec=codec, pix_fmt="rgb8" if codec == "gif" else "yuv420p")).read_bytes()
    told = []
    for seed in range(120):
        clip.write_bytes(damage(content, seed))
        try:
            with VideoReader(VideoSource.parse(clip)) as reader:
                told += [reader.fault] if list(reader.frames()) else []
        except ImageError as error:
            told.append(str(error))
    assert len(told) == 120 and any(told) and all(str(clip) in one for one in told if one)


def test_pictures_of_an_unknown_codec_are_told(tmp_path):
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(Path(write_clip(clip, 6)).read_bytes().replace(b"avc1", b"zzzz"))
    with pytest.raises(ImageError, match=r"clip\.mp4: .*(cannot be decoded|holds no frame|no pictures)"):
        read(clip)
