import os
import subprocess
import sys

import pytest

from maskzoo.errors import TrainingError
from maskzoo.system.files import LOCK, own_folder, remove_dead_parts, write_whole
from maskzoo.system.locks import close_locked, open_locked, try_lock

HOLD = """
import sys, time
from pathlib import Path
from maskzoo.system.files import own_folder
with own_folder(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds the folder."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_folder_has_one_owner_and_the_error_says_who(holder, tmp_path):
    with pytest.raises(TrainingError, match=rf"in use by process {holder.pid} on "), own_folder(tmp_path, TrainingError):
        pass


def test_a_killed_owner_holds_nothing(holder, tmp_path):
    holder.kill()
    holder.wait()
    assert (tmp_path / LOCK).exists()
    with own_folder(tmp_path) as note:
        assert note == ""
    assert list(tmp_path.iterdir()) == []


def test_one_process_cannot_own_a_folder_twice(tmp_path):
    with own_folder(tmp_path):
        with pytest.raises(TrainingError, match=f"process {os.getpid()}"), own_folder(tmp_path, TrainingError):
            pass
        assert (tmp_path / LOCK).exists()  # the second did not take it away from the first
        with pytest.raises(TrainingError), own_folder(tmp_path, TrainingError):
            pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_a_lock_does_not_live_on_in_a_forked_child(tmp_path):
    reading, writing = os.pipe()
    with own_folder(tmp_path):
        child = os.fork()
        if child == 0:  # lives longer than its parent's lock
            os.close(writing)
            os.read(reading, 1)
            os._exit(0)
    with own_folder(tmp_path) as note:
        assert note == ""
    os.close(writing)
    os.waitpid(child, 0)
    os.close(reading)


def test_where_no_locks_are_known_the_note_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("maskzoo.system.locks.try_lock", lambda handle: None)
    with own_folder(tmp_path) as note:
        assert "knows no locks" in note


def test_of_many_who_come_at_once_one_is_let_in(tmp_path):
    """Four processes that take and give back the lock 200 times each: never two inside."""
    script = """
import os, sys
from pathlib import Path
from maskzoo.errors import MaskzooError
from maskzoo.system.files import own_folder
folder, inside, got = Path(sys.argv[1]), Path(sys.argv[1], "inside"), 0
for _ in range(200):
    try:
        with own_folder(folder):
            os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
            os.unlink(inside)
            got += 1
    except MaskzooError as error:
        assert "in use" in str(error), error
print(got)
"""
    processes = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE) for _ in range(4)]
    assert sum(int(process.communicate()[0]) for process in processes) > 0
    assert all(process.returncode == 0 for process in processes) and list(tmp_path.iterdir()) == []


def test_dead_parts_are_removed_and_living_ones_and_others_stay(tmp_path):
    (tmp_path / ".a.jpg.0123abcd.part").write_bytes(b"half")
    stays = [".a.jpg.0123abcg.part", "a.jpg.0123abcd.part", ".0123abcd.part.jpg", "photo.part"]
    for name in stays:
        (tmp_path / name).write_bytes(b"a user's")
    (tmp_path / ".link.0123abcd.part").symlink_to("photo.part")
    handle, locked = open_locked(tmp_path / ".living.0123abcd.part", os.O_EXCL)
    assert locked
    remove_dead_parts(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*stays, ".link.0123abcd.part", ".living.0123abcd.part"}
    close_locked(handle)
    remove_dead_parts(tmp_path)
    assert not (tmp_path / ".living.0123abcd.part").exists()


def test_a_file_that_is_being_written_is_not_taken_for_a_dead_one(tmp_path):
    def pieces():
        yield b"one"
        remove_dead_parts(tmp_path)
        yield b"two"

    write_whole(tmp_path / "file", pieces())
    assert (tmp_path / "file").read_bytes() == b"onetwo" and len(list(tmp_path.iterdir())) == 1


def test_a_handle_that_cannot_be_locked_is_told(tmp_path):
    with pytest.raises(OSError, match="Bad file descriptor"):
        try_lock(10**6)
