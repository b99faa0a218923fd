import os

import pytest

from maskzoo.errors import ImageError, SourceError
from maskzoo.images.find import find_images, find_pictures
from maskzoo.images.read import read_image


@pytest.fixture
def folder(tmp_path):
    for name in ("img10.jpg", "img2.JPG", "notes.txt", ".hidden.png", "sub/deep.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    return tmp_path


def found(*sources):
    return [path.name for path in find_images([str(source) for source in sources])]


def test_a_folder_gives_its_images_in_natural_order_without_hidden_ones_and_subfolders(folder):
    assert found(folder) == ["img2.JPG", "img10.jpg"]


def test_a_pattern_goes_as_deep_as_it_says(folder):
    assert found(folder / "*.jpg") == ["img10.jpg"]
    assert found(folder / "**" / "*") == ["img2.JPG", "img10.jpg", "deep.png"]


def test_a_file_is_taken_whatever_its_name_and_each_file_once(folder):
    bracketed = folder / "a[1].jpg"
    bracketed.write_bytes(b"")
    assert found(folder / "notes.txt", bracketed, folder / "sub" / ".." / "notes.txt") == ["notes.txt", "a[1].jpg"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("none.jpg", "no such file or folder"),
        ("empty", r"holds no image.*'.*empty/\*\*/\*'"),
        ("*.webp", "no image matches the pattern"),
        ("https://example.com/a.jpg", "is an address"),
    ],
)
def test_a_source_without_images_is_an_error_that_says_what_to_give(source, message, folder, monkeypatch):
    (folder / "empty").mkdir()
    monkeypatch.chdir(folder)
    with pytest.raises(SourceError, match=message):
        find_images([source])


@pytest.fixture
def tree(tmp_path):
    names = ["a.JPG", "b/c.TiFF", "._a.jpg", ".ipynb_checkpoints/a-checkpoint.jpg", "__MACOSX/a.jpg", ".DS_Store", "notes.txt"]
    for name in names:
        path = tmp_path / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return tmp_path / "set"


def names(folder, *arguments):
    return [path.relative_to(folder).as_posix() for path in find_pictures(folder, *arguments)]


def test_a_walk_finds_pictures_at_any_depth_in_any_capitals_and_passes_over_hidden_ones(tree):
    assert names(tree) == ["a.JPG", "b/c.TiFF"]
    assert names(tree, {".txt"}) == ["notes.txt"]


def test_a_walk_follows_links_to_folders_and_never_in_a_circle(tree, tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "d.png").write_bytes(b"")
    (tree / "part").symlink_to(tmp_path / "store")
    (tmp_path / "store" / "up").symlink_to(tree)
    assert names(tree) == ["a.JPG", "b/c.TiFF", "part/d.png"]


def test_what_a_walk_cannot_look_at_is_named_for_what_it_is(tree):
    (tree / "gone.jpg").symlink_to(tree / "elsewhere.jpg")
    (tree / "circle.jpg").symlink_to(tree / "circle.jpg")
    (tree / "old.md").symlink_to("nowhere.md")  # no picture: nothing is lost
    told = {}
    found = find_pictures(tree, on_obstacle=lambda path, reason: told.setdefault(path.name, reason))
    assert [path.name for path in found] == ["a.JPG", "c.TiFF"] and len(told) == 2
    assert told["gone.jpg"].startswith("a link that leads nowhere, to ") and "circle" in told["circle.jpg"]
    with pytest.raises(SourceError, match="a link that leads"):
        find_pictures(tree)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look into every folder")
def test_a_folder_without_permission_is_named_so(tree):
    (tree / "b").chmod(0)
    told = []
    try:
        find_pictures(tree, on_obstacle=lambda path, reason: told.append((path.name, reason)))
        with pytest.raises(SourceError, match="b: no permission to look into this folder"):
            find_images([str(tree / "b")])
    finally:
        (tree / "b").chmod(0o755)
    assert told == [("b", "no permission to look into this folder; change its rights, or move it away")]


def test_a_walk_begins_in_a_folder(tree):
    with pytest.raises(SourceError, match=r"a\.JPG: cannot be looked into"):
        find_pictures(tree / "a.JPG")


@pytest.mark.parametrize("name", ["film.mp4", "FILM.MOV", "a/film.webm"])
@pytest.mark.parametrize("there", [True, False])
def test_a_video_is_called_a_video_whether_it_is_there_or_not(tmp_path, name, there):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    if there:
        path.write_bytes(b"film")
    with pytest.raises(SourceError, match=r"is a video; expected pictures: it goes alone: maskzoo predict MODEL VIDEO"):
        find_images([str(path)])


@pytest.mark.parametrize("start", [b"\0\0\0\x20ftypisom", b"RIFF\1\2\3\4AVI LIST", b"\x1aE\xdf\xa3", b"\0\0\1\xba"])
def test_a_video_is_known_by_its_bytes_too(start, tmp_path):
    (tmp_path / "photo.jpg").write_bytes(start + bytes(100))
    with pytest.raises(ImageError, match=r"photo\.jpg: is a video"):
        read_image(tmp_path / "photo.jpg")
    with pytest.raises(ImageError, match="is a video"):
        read_image(start + bytes(100))


def test_the_number_of_a_camera_is_no_source_and_the_way_out_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match=r"0: no such file; a camera is no image: it goes alone"):
        find_images(["0"])
