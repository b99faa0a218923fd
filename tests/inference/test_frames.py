"""`predictor.stream`: every frame once, equal to its prediction alone, with number and time, and bounded memory."""

import socket
import threading
from dataclasses import replace

import numpy as np
import pytest

from maskzoo.errors import ArgumentError, ImageError
from maskzoo.inference.frames import predict_frames
from maskzoo.video.reader import VideoReader
from maskzoo.video.source import VideoSource
from networks import small_predictor
from videos import RATE, write_clip

OPTIONS = {"score": 0.5, "classes": None, "batch_size": 1, "workers": 1, "track": False}


@pytest.mark.parametrize(("batch_size", "workers"), [(1, 1), (4, 1), (2, 2)])
def test_each_frame_is_predicted_as_it_is_alone_with_its_number_and_time(batch_size, workers, tmp_path):
    predictor, clip = small_predictor(), write_clip(tmp_path / "clip.mp4", 9)
    with VideoReader(VideoSource.parse(clip)) as reader:
        alone = [predictor.predict(frame.pixels, score=0) for frame in reader.frames()]
    found = list(predictor.stream(clip, score=0, batch_size=batch_size, workers=workers))
    assert [prediction.frame for prediction in found] == list(range(9))
    assert [prediction.time for prediction in found] == pytest.approx([number / RATE for number in range(9)])
    assert any(len(prediction) for prediction in alone)
    for one, other in zip(found, alone, strict=True):
        assert one.source == str(clip) and one.size == other.size and np.array_equal(one.image, other.image)
        assert len(one) == len(other) and np.allclose(one.boxes, other.boxes, atol=1e-3)
    assert {"frame", "time"} <= found[3].to_dict().keys()


def test_every_nth_frame_and_the_least_score_count(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", 9)
    found = list(small_predictor().stream(clip, every=4, score=0.2))
    assert [prediction.frame for prediction in found] == [0, 4, 8]
    tracked = list(small_predictor().stream(clip, every=4, score=0.2, track=True))
    assert all((prediction.scores >= 0.2).all() for prediction in found + tracked)
    assert all(len(set(one.identities.tolist())) == len(one) for one in tracked) and any(len(one) for one in tracked)
    with pytest.raises(ArgumentError, match="every"):
        list(small_predictor().stream(clip, every=0))


def test_a_caller_that_stops_ends_the_reading(tmp_path):
    frames = small_predictor().stream(write_clip(tmp_path / "clip.mp4", 200))
    next(frames)
    frames.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "maskzoo-ahead"]


def test_what_waits_does_not_grow_with_the_video(tmp_path, monkeypatch):
    clip = write_clip(tmp_path / "clip.mp4", 60)
    with VideoReader(VideoSource.parse(clip)) as reader:
        ahead = [
            reader.taken - prediction.frame for prediction in predict_frames(small_predictor().predict_each, reader, **OPTIONS)
        ]
    assert len(ahead) == 60 and max(ahead) <= 5


def test_damage_is_raised_after_the_last_frame(tmp_path):
    clip = write_clip(tmp_path / "clip.mov", 40, codec="mjpeg", pix_fmt="yuvj420p", options={"movflags": "faststart"})
    content = clip.read_bytes()
    clip.write_bytes(content[: len(content) // 2])
    seen = []
    with pytest.raises(ImageError, match="copy or download it again"):
        for prediction in small_predictor().stream(clip):
            seen.append(prediction.frame)
    assert seen == list(range(len(seen))) and len(seen) > 5


def test_a_stream_of_a_web_server_is_read_to_its_end(tmp_path, serve):
    """A web server of this machine: a stand-in for those of cameras, which cannot be had here."""
    write_clip(tmp_path / "clip.ts", 12)
    address = f"{serve(tmp_path)}/clip.ts"
    found = list(small_predictor().stream(address))
    assert [prediction.frame for prediction in found] == list(range(12)) and found[0].source == address


def test_a_stream_of_a_bare_connection_is_read_to_its_end(tmp_path):
    content = write_clip(tmp_path / "clip.ts", 12).read_bytes()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def send():
            connection, _ = server.accept()
            with connection:
                connection.sendall(content)

        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        found = list(small_predictor().stream(f"tcp://127.0.0.1:{server.getsockname()[1]}"))
        sender.join(10)
    assert [prediction.frame for prediction in found] == list(range(12))


def test_of_a_live_source_the_frames_that_come_while_the_network_is_busy_are_left_out(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", 300)
    with VideoReader(replace(VideoSource.parse(clip), live=True)) as reader:
        frames = [prediction.frame for prediction in predict_frames(small_predictor().predict_each, reader, **OPTIONS)]
    assert reader.taken == 300 and frames == sorted(set(frames)) and frames[-1] == 299 and 0 < len(frames) < 300
