"""Videos that are written against what went in: pictures, times, sound; and no file where something goes wrong."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from maskzoo.errors import ImageError, MaskzooError
from maskzoo.video.reader import VideoReader
from maskzoo.video.source import VideoSource
from maskzoo.video.writer import FORMATS, is_drawn_video, write_video
from videos import CORNER, RATE, damage, find_number, make_frame, read_packets, read_sound, read_times, write_clip


def copy(source, target, every=1, most=None):
    with VideoReader(VideoSource.parse(source), every) as reader, write_video(target, reader) as writer:
        for frame in reader.frames():
            if most is not None and frame.number >= most:
                writer.finish(cut=True)
                break
            writer.write(frame.pixels, frame.time)
        return writer.note


@pytest.mark.parametrize("suffix", FORMATS)
def test_pictures_colours_and_uneven_times_survive_in_every_format(suffix, tmp_path):
    times = [0.0, 0.04, 0.05, 0.3, 0.7, 0.71, 2.0]
    copy(write_clip(tmp_path / "clip.mkv", times), tmp_path / f"out{suffix}")
    with VideoReader(VideoSource.parse(tmp_path / f"out{suffix}")) as reader:
        frames = list(reader.frames())
    assert [find_number(frame.pixels) for frame in frames] == list(range(7))
    assert [frame.time for frame in frames] == pytest.approx(times, abs=1e-3)
    assert np.abs(frames[3].pixels[5, 5].astype(int) - CORNER).max() <= 8
    assert np.abs(frames[3].pixels[20, 60].astype(int) - make_frame(3)[20, 60]).max() <= 4


@pytest.mark.parametrize(
    ("suffix", "sound", "codec"), [(".mp4", "aac", "libx264"), (".mkv", "aac", "libx264"), (".webm", "libopus", "libvpx-vp9")]
)
def test_sound_is_copied_packet_by_packet_beside_its_pictures(suffix, sound, codec, tmp_path):
    clip, out = write_clip(tmp_path / f"clip{suffix}", 50, sound=sound, codec=codec), tmp_path / f"out{suffix}"
    assert copy(clip, out) == ""
    assert read_packets(out) == read_packets(clip)
    assert np.array_equal(read_sound(out), read_sound(clip)) and read_sound(out).shape[1] >= 96_000
    assert read_times(out) == pytest.approx(read_times(clip), abs=1e-3)


def test_sound_stays_with_its_pictures_where_a_video_begins_late_or_frames_are_left_out(tmp_path):
    clip = write_clip(tmp_path / "clip.ts", 50, sound="aac", begin=3.0)
    copy(clip, tmp_path / "out.mkv", every=5)
    assert read_packets(tmp_path / "out.mkv")[1:-1] == [packet[7:] for packet in read_packets(clip)][1:-1]  # no ADTS headers
    assert read_times(tmp_path / "out.mkv") == pytest.approx([number / RATE for number in range(0, 50, 5)], abs=0.03)


def test_a_video_that_is_cut_ends_with_its_sound_at_the_last_picture(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", 100, sound="aac")
    copy(clip, tmp_path / "out.mp4", most=25)
    assert len(read_times(tmp_path / "out.mp4")) == 25
    assert 0.9 < read_sound(tmp_path / "out.mp4").shape[1] / 48_000 < 1.1


def test_sound_that_a_format_cannot_hold_is_left_out_and_that_is_told(tmp_path):
    note = copy(write_clip(tmp_path / "clip.mp4", 5, sound="aac"), tmp_path / "out.webm")
    assert "out.webm: its sound is left out, because webm cannot hold aac; choose .mkv" in note
    assert len(read_times(tmp_path / "out.webm")) == 5


@pytest.mark.parametrize("sound", ["libopus", "flac", "mp3", "ac3", "pcm_s16le", "aac"])
@pytest.mark.parametrize("suffix", FORMATS)
def test_every_sound_goes_into_every_format_or_is_told(suffix, sound, tmp_path):
    """Some formats refuse a sound only when their beginning is written: opus in .mov, which .mp4 takes."""
    clip, out = write_clip(tmp_path / "clip.mkv", sound=sound), tmp_path / f"out{suffix}"
    note = copy(clip, out)
    with av.open(str(out)) as container:
        assert len(container.streams.audio) == (0 if "sound is left out" in note else 1)
    if suffix == ".mkv":
        assert note == ""


def test_sound_of_an_unknown_codec_is_left_out_and_that_is_told(tmp_path):
    clip = tmp_path / "clip.mkv"
    clip.write_bytes(Path(write_clip(clip, sound="aac")).read_bytes().replace(b"A_AAC", b"A_ZZZ"))
    assert "cannot hold an unknown codec" in copy(clip, tmp_path / "out.mp4")


class Strict:
    """A container that refuses the first packets, as FFmpeg does where their times are damaged."""

    def __init__(self, container, refused):
        self.container, self.refused = container, refused

    def mux(self, packet):
        if self.refused:
            self.refused -= 1
            raise av.error.ArgumentError(22, "Invalid argument", "av_interleaved_write_frame")
        self.container.mux(packet)


def test_sound_that_is_refused_packet_by_packet_is_counted_and_the_rest_is_written(tmp_path):
    clip, out = write_clip(tmp_path / "clip.mkv", sound="aac"), tmp_path / "out.mp4"
    with VideoReader(VideoSource.parse(clip)) as reader, write_video(out, reader) as writer:
        writer._sound._output = Strict(writer._container, 3)
        for frame in reader.frames():
            writer.write(frame.pixels, frame.time)
    assert reader.fault == f"{clip}: 3 pieces of its sound cannot be copied"
    assert len(read_times(out)) == 10 and len(read_packets(out)) == len(read_packets(clip)) - 3


def test_damaged_sound_does_not_end_the_pictures(tmp_path):
    clip, written = tmp_path / "clip.mkv", 0
    content = Path(write_clip(clip, sound="aac")).read_bytes()
    for seed in range(100):
        clip.write_bytes(damage(content, seed))
        try:
            copy(clip, tmp_path / "out.mp4")
        except ImageError:
            continue
        written += len(read_times(tmp_path / "out.mp4")) > 0
    assert written > 10


def test_odd_sides_grow_by_a_row_and_a_column(tmp_path):
    copy(write_clip(tmp_path / "clip.mkv", 3, codec="ffv1", size=(47, 95)), tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        frame = next(container.decode(video=0))
        assert (frame.height, frame.width) == (48, 96)
        pixels = frame.to_ndarray(format="rgb24").astype(int)
        assert np.abs(pixels[47, 40:60] - pixels[46, 40:60]).max() <= 12


@pytest.mark.parametrize(("turn", "expected"), [(0, Fraction(4, 3)), (-90, Fraction(3, 4))])
def test_pixels_that_are_not_square_keep_their_shape(turn, expected, tmp_path):
    copy(write_clip(tmp_path / "clip.mp4", 3, turn=turn, pixel=Fraction(4, 3)), tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].sample_aspect_ratio == expected
        assert next(container.decode(video=0)).rotation == 0


def test_frames_of_another_size_are_brought_to_that_of_the_first(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", 1)
    with VideoReader(VideoSource.parse(clip)) as reader, write_video(tmp_path / "out.mp4", reader) as writer:
        for number, size in enumerate([(48, 96), (96, 192), (24, 48)]):
            writer.write(make_frame(0, size), number / RATE)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert {(frame.height, frame.width) for frame in container.decode(video=0)} == {(48, 96)}


def test_nothing_is_left_of_a_video_that_fails_and_the_old_one_stays(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", 3)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "out.mp4").write_bytes(b"old")
    target = tmp_path / "out" / "out.mp4"
    with (
        VideoReader(VideoSource.parse(clip)) as reader,
        pytest.raises(ZeroDivisionError),
        write_video(target, reader) as writer,
    ):
        for frame in reader.frames():
            writer.write(frame.pixels, frame.time)
        1 / 0  # noqa: B018
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["out.mp4"]
    assert (tmp_path / "out" / "out.mp4").read_bytes() == b"old"
    with pytest.raises(MaskzooError, match=r"nowhere/out\.mp4: cannot be written"):
        copy(clip, tmp_path / "nowhere" / "out.mp4")


def test_a_video_that_was_drawn_is_told_from_others(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", 3)
    for suffix in FORMATS:
        copy(clip, tmp_path / f"out{suffix}")
        assert is_drawn_video(tmp_path / f"out{suffix}")
    (tmp_path / "words.mp4").write_text("words")
    assert not is_drawn_video(clip) and not is_drawn_video(tmp_path / "words.mp4")
