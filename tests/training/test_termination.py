import signal
import subprocess
import sys
import time

import pytest

# A main thread that is deep in one call of C code, where Python runs no signal handler.
BUSY = """
import sys, time, torch
from pathlib import Path
from maskzoo.errors import SnapshotError
from maskzoo.training.termination import Terminator
torch.set_num_threads(1)
a = torch.randn(12000, 12000)
def save():
    Path(sys.argv[1]).write_text("saved")
    if sys.argv[2] == "fail":
        raise OSError("no space")
    if sys.argv[2] == "refuse":
        raise SnapshotError("snapshots: cannot be written (No space left on device); make room there")
with Terminator(save):
    print("ready", flush=True)
    {work}
"""


def start(path, work, mode="save"):
    process = subprocess.Popen(
        [sys.executable, "-c", BUSY.format(work=work), str(path), mode],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_ends_although_the_main_thread_is_in_one_long_call(tmp_path, number):
    process = start(tmp_path / "state", "torch.linalg.svd(a)")  # minutes
    time.sleep(0.5)
    began = time.monotonic()
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert (tmp_path / "state").read_text() == "saved"
    assert time.monotonic() - began < 10


def test_a_save_that_fails_shows_its_traceback_and_ends_with_1(tmp_path):
    process = start(tmp_path / "state", "time.sleep(60)", "fail")
    process.terminate()
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "no space" in errors


def test_a_snapshot_that_cannot_be_written_is_one_sentence(tmp_path):
    process = start(tmp_path / "state", "time.sleep(60)", "refuse")
    process.terminate()
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert errors == "Error: snapshots: cannot be written (No space left on device); make room there\n"


def test_leaving_it_gives_the_signals_back(tmp_path):
    process = start(tmp_path / "state", "pass\nimport signal\nsys.exit(signal.getsignal(15) is signal.SIG_DFL and 3)")
    process.communicate(timeout=30)
    assert process.returncode == 3
    assert not (tmp_path / "state").exists()


def test_a_signal_leaves_no_half_of_a_file_that_the_main_thread_was_writing(tmp_path):
    content = "iter(lambda: time.sleep(0.01) or b'x', b'')"
    work = f"from maskzoo.system.files import write_file; write_file(Path(sys.argv[1] + '.html'), {content})"
    process = start(tmp_path / "state", work)
    while not list(tmp_path.glob(".*.part")):
        time.sleep(0.01)
    process.terminate()
    process.communicate(timeout=30)
    assert [path.name for path in tmp_path.iterdir()] == ["state"]
