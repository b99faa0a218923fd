"""A picture is found by what is left of its path: where it is said, else the only one that can be meant, which is told."""

import unicodedata
from pathlib import Path

import pytest

from maskzoo.datasets.importers.picture_index import PictureIndex


@pytest.fixture
def tree(tmp_path):
    for name in (
        "a.jpg",
        "one/b.JPG",
        "one/x/c.png",
        "two/x/c.png",
        "two/d.tif",
        "two/ab12cd34-e.jpg",
        "two/é.png",
        "two/my photo (1).jpg",
    ):
        path = tmp_path / "set" / unicodedata.normalize("NFC", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    (tmp_path / "outside.jpg").write_bytes(b"")
    return tmp_path / "set"


@pytest.mark.parametrize(
    ("named", "found", "told"),
    [
        ("a.jpg", "a.jpg", ""),
        ("one/b.JPG", "one/b.JPG", ""),
        ("..\\a.jpg", "a.jpg", ""),
        ("C:\\photos\\a.jpg", "a.jpg", ""),
        ("/home/me/a.jpg", "a.jpg", ""),
        ("b.jpg", "one/b.JPG", "another folder or with other letters"),
        ("d:/old/one/x/c.png", "one/x/c.png", "another folder"),
        ("https://host/two/x/c.png?size=3", "two/x/c.png", ""),
        ("/data/local-files/?d=photos%2Ftwo%2Fd.tif", "two/d.tif", "another folder"),
        ("/data/upload/7/0a1b2c3d-a.jpg", "a.jpg", "prefix"),
        ("ab12cd34-e.jpg", "two/ab12cd34-e.jpg", "another folder"),
        ("/data/upload/7/0a1b2c3d-my_photo_1.jpg", "two/my photo (1).jpg", "signs that an upload changed"),
        ("d.png", "two/d.tif", "another suffix"),
        ("two/x/c.jpeg", "two/x/c.png", "another suffix"),
        (unicodedata.normalize("NFD", "é.png"), "two/é.png", "other letters"),
        ("a", "a.jpg", "another suffix"),
    ],
)
def test_a_picture_is_found_by_what_is_left_of_its_path(tree, named, found, told):
    result = PictureIndex(tree).find(named, tree / "one" if named.startswith("..") else tree)
    assert result.path == tree / found
    assert told in result.told and bool(told) == bool(result.told)


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("c.png", "could be one/x/c.png, two/x/c.png"),
        ("c.bmp", "could be one/x/c.png"),
        ("../outside.jpg", "expected a picture in the folder"),
        ("a" * 300 + ".jpg", "expected a picture in the folder"),
        ("gone.jpg", "expected a picture in the folder"),
        ("data:image/png;base64,AAAA", "expected the name of a picture"),
        ("/", "expected the name"),
    ],
)
def test_what_is_not_there_or_could_be_two_is_said(tree, named, said):
    result = PictureIndex(tree).find(named, tree)
    assert result.path is None and said in result.told


def test_between_several_of_a_name_the_folders_of_the_labels_decide_and_then_the_letters(tree):
    assert PictureIndex(tree).find("c.png", tree / "labels/two").path == tree / "two/x/c.png"
    for name in ("other/F.jpg", "other/f.jpg"):
        (tree / name).parent.mkdir(exist_ok=True)
        (tree / name).write_bytes(b"")
    assert PictureIndex(tree).find("F.jpg", tree / "one").path == tree / "other/F.jpg"


def test_labels_may_lie_in_another_folder_than_the_pictures(tree, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for root, near in ((Path("set"), Path("labels")), (tree, Path("labels")), (Path("set"), tmp_path / "labels")):
        found = PictureIndex(root).find("photos/d.tif", near)
        assert found.path is not None and found.path.absolute() == tree / "two/d.tif"


def test_obstacles_on_the_way_are_kept(tree):
    (tree / "broken.jpg").symlink_to(tree / "nowhere.jpg")
    index = PictureIndex(tree)
    index.find("gone.jpg", tree)
    assert [path.name for path, _ in index.obstacles] == ["broken.jpg"]
