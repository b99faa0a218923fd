import json
import signal
import subprocess
import sys
import time

import pytest

import maskzoo
from maskzoo.demonstration.demo import demo
from maskzoo.errors import ArgumentError, MaskzooError
from small_runs import read_rows


def start(*arguments):
    command = [sys.executable, "-m", "maskzoo", "demo", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_short_demo_makes_all_that_the_long_one_makes_and_says_the_commands(tmp_path):
    out = tmp_path / "out"
    process = start("--count", 8, "--epochs", 1, "--out", out, "--json")
    printed, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    made = json.loads(printed)
    for name in ("sheet", "report"):
        assert (tmp_path / made[name]).stat().st_size > 0
    assert len(list((out / "pictures").glob("*.jpg"))) == 1  # an eighth of the pictures is measured on
    assert made["run"] == str(out / "run") and made["mask_ap"] is not None and made["seconds"] > 0
    commands = [line.split()[2] for line in said.splitlines() if line.startswith("== maskzoo ")]
    assert commands == ["data", "data", "train", "eval", "predict"] and "0 problems" in said


def test_ctrl_c_saves_the_training_and_says_how_to_go_on(tmp_path):
    process = start("--count", 64, "--epochs", 40, "--out", tmp_path)
    end = time.monotonic() + 200
    while len(read_rows(tmp_path / "run")) < 2:
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=100)
    assert process.returncode == 130 and "Traceback" not in said
    assert f"maskzoo train --resume {tmp_path / 'run'}" in said


def test_a_folder_that_holds_something_is_left_as_it_is(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(MaskzooError, match=r"holds something already; expected a new or an empty folder"):
        demo(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_too_few_pictures_are_refused():
    with pytest.raises(ArgumentError, match="count is 7; expected 8 pictures or more"):
        demo(count=7)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_demo_reaches_the_mask_ap_that_the_pages_promise(tmp_path):
    assert maskzoo.demo(tmp_path / "demo").mask_ap > 0.6
