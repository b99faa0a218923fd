"""`maskzoo predict` of a video, as it is typed: files, table, JSON, exit codes, Ctrl-C."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from maskzoo.cli import main
from maskzoo.weights.checkpoint import write_checkpoint
from networks import FPN, small_config, small_network
from videos import make_frame, read_times, write_clip


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    config = small_config(FPN, "limits.detections.score=0.0")
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    write_checkpoint(path, small_network(config).state_dict(), config, {"source": "random"})
    return path


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")

    def call(*arguments):
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in ("predict", *arguments)])
        captured = capsys.readouterr()
        return end.value.code, captured.out, captured.err

    return call


def test_a_video_becomes_a_drawn_one_with_its_lines_and_the_counts_are_printed(run, model, tmp_path):
    write_clip(tmp_path / "clip.mp4", 5, sound="aac")
    code, out, err = run(model, "clip.mp4", "--score", "0.2", "--track")
    assert code == 0 and "Error" not in err
    found = tmp_path / "maskzoo-predictions"
    assert len(read_times(found / "clip.mp4")) == len((found / "clip.jsonl").read_text().splitlines()) == 5
    assert re.search(r"5 frames, \d+ objects? with a score from 0\.2, \d+ followed, .* frames/s", out)
    assert f"Saved to {found.name}/clip.mp4, {found.name}/clip.jsonl" in out and max(map(len, out.splitlines())) <= 80

    code, out, _ = run(model, "clip.mp4", "--out", "x.mkv", "--save", "image", "--json", "--every", "2")
    printed = json.loads(out)
    assert (code, printed["frames"], printed["video"], printed["lines"]) == (0, 3, "x.mkv", None)


def test_any_file_is_taken_for_a_video_where_one_is_to_be_made(run, model, tmp_path):
    from PIL import Image

    pictures = [Image.fromarray(make_frame(number)) for number in range(3)]
    pictures[0].save(tmp_path / "moving.gif", save_all=True, append_images=pictures[1:], duration=100)
    code, out, _ = run(model, "moving.gif", "--out", "moving.mp4", "--json")
    assert code == 0 and json.loads(out)["frames"] == 3
    assert read_times(tmp_path / "moving.mp4") == pytest.approx([0, 0.1, 0.2], abs=1e-3)


def test_what_does_not_go_together_is_a_wrong_call_or_says_what_does(run, model, tmp_path):
    write_clip(tmp_path / "clip.mp4", 2)
    (tmp_path / "photo.png").write_bytes(b"")
    for arguments, code, words in (
        (("clip.mp4", "--images", "."), 2, "--images belongs to a data set"),
        (("clip.mp4", "--out", "clip.avi"), 2, "expected .mp4"),
        (("photo.png", "--track"), 2, "--every and --track belong to one video"),
        (("photo.png", "clip.mp4"), 1, "clip.mp4: is a video; expected pictures: it goes alone"),
        (("0",), 1, "camera 0: cannot be opened"),
        (("rtsp://user:secret@127.0.0.1:9/x",), 1, "rtsp://127.0.0.1:9/x: cannot be opened"),
        (("missing.mp4",), 1, "no such file"),
    ):
        found, _, err = run(model, *arguments)
        assert found == code and words in err and "secret" not in err and "Traceback" not in err, (arguments, err)


def test_a_video_that_is_cut_off_ends_with_3_and_what_is_missing(run, model, tmp_path):
    clip = write_clip(tmp_path / "clip.mov", 40, codec="mjpeg", pix_fmt="yuvj420p", options={"movflags": "faststart"})
    content = clip.read_bytes()
    clip.write_bytes(content[: len(content) // 2])
    code, out, err = run(model, "clip.mov", "--out", "out.mp4")
    assert code == 3 and "clip.mov: " in err and "Saved to out.mp4" in out and len(read_times(tmp_path / "out.mp4")) > 5


def test_ctrl_c_ends_with_130_a_video_that_plays_and_how_far_it_goes(model, tmp_path):
    write_clip(tmp_path / "clip.mp4", 2000)
    command = [sys.executable, "-m", "maskzoo", "predict", str(model), "clip.mp4", "--out", "out.mp4"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    lines = tmp_path / "out.jsonl"
    while not lines.exists() or lines.read_text().count("\n") < 5:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    frames = int(re.search(r"Stopped after (\d+) frames of 2,000; out\.mp4 and out\.jsonl hold them", err).group(1))
    assert process.returncode == 130 and "Traceback" not in err
    assert len(read_times(tmp_path / "out.mp4")) == frames == lines.read_text().count("\n") >= 5
