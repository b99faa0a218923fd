"""`predict_video`: the drawn video and the lines of JSON against the predictions, what is refused, and Ctrl-C."""

import json
import threading

import av
import numpy as np
import pytest

import maskzoo
from maskzoo.errors import ArgumentError, MaskzooError, SourceError
from networks import small_predictor
from videos import RATE, find_number, read_packets, read_times, write_clip


def read_lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def read_pictures(path):
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_the_video_is_drawn_with_its_times_and_sound_and_a_line_tells_of_each_frame(tmp_path):
    times = [0.0, 0.04, 0.05, 0.3, 0.7, 0.71, 1.0]
    predictor, clip = small_predictor(), write_clip(tmp_path / "clip.mp4", times, sound="aac")
    events = []
    run = maskzoo.predict_video(predictor, clip, tmp_path / "found", score=0.2, on_progress=events.append)
    assert (run.frames, run.source, run.fault, run.dropped, run.identities) == (7, str(clip), "", 0, None)
    assert (run.video, run.lines) == (tmp_path / "found" / "clip.mp4", tmp_path / "found" / "clip.jsonl")
    assert read_times(run.video) == pytest.approx(times, abs=1e-3)
    assert read_packets(run.video) == read_packets(clip)
    lines = read_lines(run.lines)
    alone = list(predictor.stream(clip, score=0.2))
    assert [line["frame"] for line in lines] == list(range(7))
    assert [line["time"] for line in lines] == pytest.approx(times)
    assert [[{key: row[key] for key in ("bbox", "score", "image_id")} for row in line["detections"]] for line in lines] == [
        [{key: row[key] for key in ("bbox", "score", "image_id")} for row in one.to_coco(one.frame)] for one in alone
    ]
    assert run.objects == sum(len(one) for one in alone) == sum(run.classes.values()) > 0
    for picture, one in zip(read_pictures(run.video), alone, strict=True):
        drawn, plain = np.asarray(one.draw()).astype(int), one.image.astype(int)
        assert not len(one) or 2 * np.abs(picture - drawn).mean() < np.abs(picture - plain).mean()
    counted = [(event.done, event.total, event.unit) for event in events if event.done]
    assert counted == [(number, 7, "frames") for number in range(1, 8)]
    assert json.loads(json.dumps(run.to_dict()))["video"] == str(run.video)


def test_identities_stand_in_the_lines_and_are_counted(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", 6)
    run = maskzoo.predict_video(small_predictor(), clip, tmp_path / "out.mkv", score=0.2, track=True)
    numbers = [row["identity"] for line in read_lines(tmp_path / "out.jsonl") for row in line["detections"]]
    assert numbers and run.identities == max(numbers) and run.objects == len(numbers)
    assert len(read_times(tmp_path / "out.mkv")) == 6


def test_only_what_is_asked_for_is_saved_of_every_nth_frame(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", 10)
    run = maskzoo.predict_video(small_predictor(), clip, tmp_path / "a.jsonl", save="json", every=3)
    assert [line["frame"] for line in read_lines(tmp_path / "a.jsonl")] == [0, 3, 6, 9] and run.video is None
    run = maskzoo.predict_video(small_predictor(), clip, tmp_path / "b.mp4", save="image", every=3, score=1.0)
    assert read_times(tmp_path / "b.mp4") == pytest.approx([0, 3 / RATE, 6 / RATE, 9 / RATE], abs=1e-3) and run.lines is None
    assert [find_number(picture) for picture in read_pictures(tmp_path / "b.mp4")] == [0, 3, 6, 9]
    run = maskzoo.predict_video(small_predictor(), clip, tmp_path / "c", save="none")
    assert run.frames == 10 and not (tmp_path / "c").exists()


def test_a_later_call_replaces_its_own_video_and_no_other(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", 3)
    for _ in range(2):
        maskzoo.predict_video(small_predictor(), clip, tmp_path / "found")
    before = clip.read_bytes()
    with pytest.raises(MaskzooError, match=r"clip\.mp4: exists, and maskzoo did not write it; .* another --out"):
        maskzoo.predict_video(small_predictor(), clip, tmp_path)
    assert clip.read_bytes() == before


def test_what_cannot_be_done_is_refused_before_the_network_is_loaded(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", 3)

    def load():
        raise AssertionError("loaded")

    for source, out, options, kind, words in (
        (tmp_path / "no.mp4", tmp_path / "o", {}, SourceError, r"no\.mp4'?: no such file"),
        (clip, tmp_path / "out.avi", {}, ArgumentError, r"out\.avi: \.avi is not written; expected \.mp4"),
        (clip, tmp_path / "o", {"every": 0}, ArgumentError, "every"),
        (clip, tmp_path / "o", {"save": "pictures"}, ArgumentError, "save"),
        (clip, tmp_path / "o", {"score": 2}, ArgumentError, "score"),
    ):
        with pytest.raises(kind, match=words):
            maskzoo.predict_video(load, source, out, **options)


def test_of_a_broken_video_the_whole_frames_are_written_and_the_fault_is_told(tmp_path):
    clip = write_clip(tmp_path / "clip.mov", 40, codec="mjpeg", pix_fmt="yuvj420p", options={"movflags": "faststart"})
    content = clip.read_bytes()
    clip.write_bytes(content[: len(content) // 2])
    run = maskzoo.predict_video(small_predictor(), clip, tmp_path / "out.mp4")
    assert 5 < run.frames < 40 and "clip.mov" in run.fault
    assert len(read_times(tmp_path / "out.mp4")) == len(read_lines(tmp_path / "out.jsonl")) == run.frames


def test_ctrl_c_leaves_both_files_as_far_as_they_go_and_says_how_far(tmp_path):
    clip, notes = write_clip(tmp_path / "clip.mp4", 60, sound="aac"), []

    def interrupt(event):
        notes.extend(filter(None, [event.note]))
        if event.done == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        maskzoo.predict_video(small_predictor(), clip, tmp_path / "out.mp4", on_progress=interrupt)
    assert read_times(tmp_path / "out.mp4") == pytest.approx([number / RATE for number in range(8)], abs=1e-3)
    assert len(read_lines(tmp_path / "out.jsonl")) == 8
    assert notes[-1] == f"Stopped after 8 frames of 60; {tmp_path / 'out.mp4'} and {tmp_path / 'out.jsonl'} hold them"
    assert not [thread for thread in threading.enumerate() if thread.name == "maskzoo-ahead"]
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []
