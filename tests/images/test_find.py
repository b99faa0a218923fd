import pytest

from maskzoo.errors import SourceError
from maskzoo.images.find import find_images


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
