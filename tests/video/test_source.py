"""What is a video by its look, what it is called, and what is said of one that cannot be opened."""

import pytest

from maskzoo.errors import SourceError
from maskzoo.video.source import VideoSource, is_video, open_source
from videos import write_clip


@pytest.mark.parametrize(
    "source",
    ["film.mp4", "a/FILM.MOV", "0", "12", "/dev/video1", "rtsp://camera/1", "udp://@239.0.0.1:5000", "tcp://host:5000",
     "http://host/film.mp4", "https://host/live/list.m3u8?token=1"],
)  # fmt: skip
def test_videos_cameras_and_streams_are_known_by_their_look(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert is_video(source)


@pytest.mark.parametrize(
    "source", ["photo.jpg", ".", "photos", "-", "@list.txt", "photos.tar", "data.json", "*.png", "http://host/photo.jpg"]
)
def test_images_are_none(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    assert not is_video(source)


def test_a_file_is_known_by_its_bytes_and_a_number_may_be_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_clip(tmp_path / "clip.mp4", 2).rename(tmp_path / "clip")
    (tmp_path / "1").mkdir()
    (tmp_path / "photo.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    assert is_video("clip") and not is_video("1") and not is_video("photo.png")


def test_a_source_is_told_without_its_password_and_live_or_not(tmp_path):
    stream = VideoSource.parse("rtsp://user:secret@camera:554/1?key=hidden")
    assert stream.name == "rtsp://camera:554/1" and stream.live and "secret" in stream.address
    assert not VideoSource.parse("https://host/film.mp4").live
    assert VideoSource.parse("0").live and VideoSource.parse("/dev/video3").name == "camera /dev/video3"
    clip = write_clip(tmp_path / "a:b.mp4", 2)
    assert VideoSource.parse(clip).file == clip
    assert [VideoSource.parse(one).stem for one in (clip, "0", "/dev/video3", "rtsp://a/b")] == [
        "a:b", "camera-0", "camera-dev-video3", "rtsp",
    ]  # fmt: skip
    open_source(VideoSource.parse(clip)).close()


def test_what_is_not_there_is_told_by_name(tmp_path):
    with pytest.raises(SourceError, match=r"'film\.mp4': no such file; expected a video, the number of a camera"):
        VideoSource.parse("film.mp4")
    with pytest.raises(SourceError, match=r"camera 97: .*No such file.*; expected a camera"):
        open_source(VideoSource.parse("97"))
    with pytest.raises(
        SourceError, match=r"^tcp://127\.0\.0\.1:9: cannot be opened: Connection refused; check the address"
    ) as told:
        open_source(VideoSource.parse("tcp://user:secret@127.0.0.1:9"))
    assert "secret" not in str(told.value)
