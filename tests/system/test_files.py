"""Writing where it cannot be done: every fault is named with what helps, nothing waits or tries for ever; and addresses."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from maskzoo.errors import ExportError, MaskzooError, TrainingError
from maskzoo.system.files import (
    check_folder,
    check_target,
    choose_name,
    describe_address,
    explained,
    fit_name,
    home,
    is_taken,
    make_folder,
    read_regular,
    write_file,
    write_whole,
)

pytestmark = pytest.mark.timeout(60)

NOBODY = 65534  # a user without rights: root may do what a folder forbids
MARK = b"ours"


def act_as_nobody(folder, code):
    """Run Python text in `folder` as a user who owns nothing there; modules are imported before, as root."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    folder.chmod(0o755)  # pytest lets nobody else in
    begin = "import os; from pathlib import Path; from maskzoo.system import files; from maskzoo.errors import MaskzooError"
    drop = f"os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})"
    guarded = "\n".join(f"    {line}" for line in code.splitlines())
    text = f"{begin}\n{drop}\ntry:\n{guarded}\nexcept MaskzooError as error:\n    print('refused:', error)"
    done = subprocess.run([sys.executable, "-c", text], cwd=folder, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def scene(tmp_path):
    """A folder with each thing that can stand in the way."""
    (tmp_path / "file").write_bytes(b"mine")
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "nowhere").symlink_to("missing")
    return tmp_path


PLACES = {
    "file": "stands where a folder is expected",
    "file/below": "stands where a folder is expected",
    "circle": "stands where a folder is expected|lead in a circle",
    "circle/below": "lead in a circle",
    "nowhere": "stands where a folder is expected|leads nowhere",
    "nowhere/below": "stands where a folder is expected|leads nowhere",
    "n" * 256: "at most 255 bytes",
    "/proc/none": "a folder above is missing",
}


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place[:20])
@pytest.mark.parametrize("act", [check_folder, make_folder])
def test_a_folder_that_cannot_be_is_named_with_what_helps(scene, act, place):
    with pytest.raises(TrainingError, match=PLACES[place]) as refused:
        act(scene / place, TrainingError)
    assert place in str(refused.value)
    assert sorted(path.name for path in scene.iterdir()) == ["circle", "file", "nowhere"]


def test_checking_a_folder_that_is_not_there_yet_makes_nothing(tmp_path):
    check_folder(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []
    make_folder(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []


@pytest.mark.parametrize("place", ["file/x", "circle", "circle/x", "nowhere", "n" * 256, "."], ids=lambda place: place[:20])
def test_a_target_that_cannot_be_written_is_refused_before_the_work(scene, place):
    with pytest.raises(ExportError, match="cannot be written"):
        check_target(scene / place, kind=ExportError)


def test_a_target_that_is_there_needs_force(scene):
    check_target(scene / "new" / "x")
    check_target(scene / "file")
    for name in ("file", "nowhere", "circle"):
        with pytest.raises(MaskzooError, match=f"{name}: exists already"):
            check_target(scene / name, force=False)


def test_taken_is_what_is_there_and_is_not_ours(scene):
    (scene / "ours").write_bytes(MARK)
    (scene / "folder").mkdir()
    os.mkfifo(scene / "pipe")
    assert [name for name in sorted(scene.iterdir()) if not is_taken(name, MARK)] == [scene / "ours"]
    assert not is_taken(scene / "free", MARK)
    for place in ("file/x", "circle/x", "n" * 256):
        with pytest.raises(MaskzooError, match="cannot be written"):
            is_taken(scene / place, MARK)


@pytest.mark.parametrize("letter", ["a", "é", "漢", "🦊"])
def test_a_name_is_cut_by_whole_letters_to_what_a_file_system_takes(tmp_path, letter):
    for number in range(1, 4):
        name = fit_name(letter * 300, f"-{number}.jpg", tmp_path)
        assert 255 - len(letter.encode()) < len(name.encode()) <= 255
        assert name == letter * (len(name) - 6) + f"-{number}.jpg"
        write_file(tmp_path / name, b"")
    assert len(list(tmp_path.iterdir())) == 3
    assert fit_name("short", ".jpg", tmp_path) == "short.jpg"
    assert fit_name(letter * 10_000_000, ".jpg", tmp_path).endswith(f"{letter}.jpg")  # at once


def test_names_of_which_none_is_free_come_to_an_end(tmp_path):
    with pytest.raises(MaskzooError, match=r"10,000 names in a row are taken, up to x-10000\.jpg"):
        choose_name(tmp_path, "x", ".jpg", lambda path: True)
    assert choose_name(tmp_path, "x", ".jpg", lambda path: "3" not in path.name) == (tmp_path / "x-3.jpg", 3)


@pytest.mark.parametrize("letter", ["a", "é", "漢", "🦊"])
def test_the_longest_name_can_be_written_whole(tmp_path, letter):
    path = tmp_path / fit_name(letter * 255, "", tmp_path)
    write_whole(path, [b"one", b"two"])
    assert path.read_bytes() == b"onetwo" and list(tmp_path.iterdir()) == [path]


def test_writing_that_fails_leaves_the_old_file_and_nothing_else(scene):
    def pieces():
        yield b"half"
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(MaskzooError, match=r"file: cannot be written \(No space left on device\); make room"):
        write_file(scene / "file", pieces())
    (scene / "taken").mkdir()
    with pytest.raises(MaskzooError, match=r"taken: cannot be written.*a folder stands where a file is expected"):
        write_file(scene / "taken", b"")
    assert (scene / "file").read_bytes() == b"mine"
    assert sorted(path.name for path in scene.iterdir()) == ["circle", "file", "nowhere", "taken"]


def test_an_unknown_fault_keeps_its_words(tmp_path):
    told = r"x: cannot be written \(odd\); check folder, rights and free space"
    with pytest.raises(MaskzooError, match=told), explained(Path("x")):
        raise OSError("odd")


@pytest.mark.parametrize("mode", [0o700, 0o744, 0o755, 0o766], ids=oct)
@pytest.mark.parametrize("place", [".", "below", "below/twice"])
def test_a_folder_without_rights_is_refused_and_never_searched_for_ever(tmp_path, mode, place):
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(mode)
    for act in ("check_folder", "make_folder"):
        told = act_as_nobody(tmp_path, f"files.{act}(Path('locked') / '{place}')")
        assert told.startswith("refused: locked") and "Permission denied" in told and "change the rights" in told
        folder.chmod(0o777)
        assert act_as_nobody(tmp_path, f"files.{act}(Path('locked') / '{place}')") == ""
        folder.chmod(mode)
        for made in ("below/twice", "below"):
            if (folder / made).exists():
                (folder / made).rmdir()


def test_a_name_that_cannot_be_looked_at_is_not_taken_for_a_taken_one(tmp_path):
    (tmp_path / "locked").mkdir()
    (tmp_path / "locked").chmod(0o766)
    told = act_as_nobody(tmp_path, "files.choose_name(Path('locked'), 'x', '.jpg', lambda path: files.is_taken(path, b'ours'))")
    assert told.startswith("refused: locked/x.jpg: cannot be written (Permission denied)")


def test_a_file_that_may_not_be_read_is_taken(tmp_path):
    (tmp_path / "x").write_bytes(MARK)
    (tmp_path / "x").chmod(0)
    assert act_as_nobody(tmp_path, "print(files.is_taken(Path('x'), b'ours'))") == "True\n"


@pytest.mark.parametrize(
    ("source", "advice"),
    [
        ("https://host/a//b.jpg?x=1", "download or copy it"),
        ("s3://bucket/photo.jpg", "download or copy it"),
        ("rtsp://user@camera:554/1", "a stream goes alone"),
        ("file:///home/me/a.jpg", "without file://"),
    ],
)
def test_an_address_is_quoted_as_it_was_given_with_what_to_do(source, advice):
    text = describe_address(source)
    assert text.startswith(f"{source}: is an address ({source.partition(':')[0]})") and advice in text


@pytest.mark.parametrize("begin", ["data:image/png;base64,", "data:,", "DATA:text/plain;charset=utf-8,"])
def test_an_address_that_holds_its_data_is_called_so_without_them(begin):
    text = describe_address(begin + 999_999 * "A")
    assert text.startswith(f"{begin}...: is an address (data)") and len(text) < 200


def test_a_path_that_was_made_of_an_address_has_its_slash_back():
    assert describe_address(Path("http://host/a.json")).startswith("http://host/a.json: is an address")


@pytest.mark.parametrize(
    "source",
    ["a.jpg", "/abs/a:b/c.jpg", "C:\\photos\\a.jpg", "a:b.jpg", "note: /x", "http:", "data:", "data: a,b.jpg", ""],
)
def test_a_path_is_no_address(source):
    assert describe_address(source) is None


def test_a_file_that_is_there_is_no_address_whatever_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "http:").mkdir()
    (tmp_path / "http:" / "a.jpg").touch()
    assert describe_address("http://a.jpg") is None


def test_an_address_may_be_longer_than_a_name():
    assert "is an address" in describe_address(f"https://host/a.jpg?signature={'x' * 1000}")


@pytest.mark.parametrize("chosen", ["~nosuchuser/x", "~nosuchuser"])
def test_a_home_of_no_user_is_an_error_of_ours(monkeypatch, chosen):
    monkeypatch.setenv("MASKZOO_HOME", chosen)
    with pytest.raises(MaskzooError, match="no home folder is found"):
        home()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="makes a pipe")
def test_only_a_regular_file_is_opened(tmp_path):
    (tmp_path / "a").write_bytes(b"text")
    (tmp_path / "link").symlink_to("a")
    os.mkfifo(tmp_path / "pipe")
    assert read_regular(tmp_path / "a") == read_regular(tmp_path / "link") == b"text"
    for path, kind in (("pipe", OSError), (".", IsADirectoryError), ("none", FileNotFoundError), ("/dev/zero", OSError)):
        with pytest.raises(kind):
            read_regular(tmp_path / path)
