"""The files of `maskzoo predict`: nothing of the user's is overwritten, and nothing is half written."""

import os

import pytest
from PIL import Image

from maskzoo.drawing.picture_file import encode_picture
from maskzoo.errors import MaskzooError
from maskzoo.inference.outputs import is_drawn, join_json, name_pictures, number_images
from maskzoo.system.files import write_file

pytestmark = pytest.mark.timeout(60)


def list_names(names, folder):
    return [picture.name for picture in name_pictures([str(name) for name in names], folder)]


def test_files_named_by_different_numbers_keep_them_as_image_ids():
    assert number_images(["val/000000000139.jpg", "val/000000000285.png"]) == [139, 285]


@pytest.mark.parametrize(
    "names",
    [["1.jpg", "b.jpg"], ["a/7.jpg", "b/007.jpg"], ["9" * 30 + ".jpg", "1.jpg"], ["\u0663.jpg", "4.jpg"]],
    ids=["a word", "one number twice", "too large", "digits of another script"],
)
def test_other_files_are_numbered_from_one(names):
    assert number_images(names) == [1, 2]


def test_no_image_has_no_number():
    assert number_images([]) == []


def test_pictures_of_equal_stems_get_different_names(tmp_path):
    names = ["a/x.jpg", "b/x.jpg", "b/X.png", "x-2.jpg", "y.jpg"]
    assert list_names(names, tmp_path) == ["x.jpg", "x-2.jpg", "X-3.jpg", "x-2-2.jpg", "y.jpg"]


def test_a_picture_never_takes_the_place_of_an_input_image(tmp_path):
    for name in ("x.jpg", "x-2.jpg"):
        (tmp_path / name).write_bytes(encode_picture(Image.new("RGB", (8, 8))))  # even if it was drawn here before
    assert list_names([tmp_path / "x.jpg", tmp_path / "x-2.jpg"], tmp_path) == ["x-3.jpg", "x-2-2.jpg"]


def test_an_input_reached_over_a_link_is_not_overwritten_either(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "x.jpg").write_bytes(encode_picture(Image.new("RGB", (8, 8))))
    (tmp_path / "link").symlink_to(tmp_path / "photos")
    assert list_names([tmp_path / "photos" / "x.jpg"], tmp_path / "link") == ["x-2.jpg"]


def test_only_a_picture_of_an_earlier_call_is_overwritten(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "mine.jpg")
    (tmp_path / "ours.jpg").write_bytes(encode_picture(Image.new("RGB", (8, 8))))
    (tmp_path / "folder.jpg").mkdir()
    names = ["in/mine.png", "in/ours.png", "in/folder.png"]
    assert list_names(names, tmp_path) == ["mine-2.jpg", "ours.jpg", "folder-2.jpg"]


def test_writing_replaces_the_whole_file_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "a.json"
    write_file(path, b"old and long")
    write_file(path, map(str.encode, join_json([{"ä": 1}, 2.5])))
    assert path.read_text() == '[{"\\u00e4": 1}, 2.5]'
    assert list(tmp_path.iterdir()) == [path]


def test_a_number_that_json_has_not_is_never_written(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_file(tmp_path / "a.json", map(str.encode, join_json([float("nan")])))
    assert list(tmp_path.iterdir()) == []


def test_links_and_pipes_of_the_user_are_not_overwritten(tmp_path):
    (tmp_path / "nowhere.jpg").symlink_to("missing")
    (tmp_path / "circle.jpg").symlink_to("circle.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    names = ["in/nowhere.png", "in/circle.png", "in/pipe.png"]
    assert list_names(names, tmp_path) == ["nowhere-2.jpg", "circle-2.jpg", "pipe-2.jpg"]


@pytest.mark.parametrize("letter", ["n", "é", "漢"])
def test_equal_names_of_the_greatest_length_get_names_that_can_be_written(tmp_path, letter):
    stem = letter * (251 // len(letter.encode()))
    names = list_names([f"a/{stem}.png", f"b/{stem}.jpg", f"c.tar/{stem * 9}.jpg"], tmp_path)
    assert len(set(names)) == 3 and names[1].endswith(f"{letter}-2.jpg")
    for name in names:
        write_file(tmp_path / name, b"")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


def test_thousands_of_equal_stems_are_named_at_once(tmp_path):
    names = list_names([f"{number}/frame.jpg" for number in range(30_000)], tmp_path)
    assert names[-1] == "frame-30000.jpg" and len(set(names)) == 30_000


@pytest.mark.parametrize("place", ["file", "circle/below", "n" * 256], ids=lambda place: place[:12])
def test_names_in_a_place_that_cannot_be_are_refused(tmp_path, place):
    (tmp_path / "file").touch()
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(MaskzooError, match="cannot be written"):
        name_pictures(["a.png"], tmp_path / place)


def test_only_what_was_drawn_into_the_folder_itself_is_a_result(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    (tmp_path / "drawn.jpg").write_bytes(encode_picture(Image.new("RGB", (8, 8))))
    Image.new("RGB", (8, 8)).save(tmp_path / "mine.jpg")
    assert is_drawn(str(tmp_path / "drawn.jpg"), tmp_path) and is_drawn(str(tmp_path / "drawn.jpg"), tmp_path / "link")
    assert not is_drawn(str(tmp_path / "mine.jpg"), tmp_path) and not is_drawn(str(tmp_path / "none.jpg"), tmp_path)
    assert not is_drawn(str(tmp_path / "drawn.jpg"), tmp_path / "other")


def test_a_name_of_thousands_of_digits_is_no_number():
    assert number_images(["9" * 5000 + ".png", "7.png"]) == [1, 2]
