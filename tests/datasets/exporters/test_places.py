"""No two pictures share a name, and no name leads out of the folder."""

import pytest

from maskzoo.datasets.exporters.content import LabelledPicture
from maskzoo.datasets.exporters.places import Names, advise_on_pictures, place_picture
from maskzoo.errors import MaskzooError


def name(names, *given):
    return [names.name(LabelledPicture(5, one, None, (1, 1), [])).as_posix() for one in given]


def test_folders_stay_and_no_name_leads_out():
    given = ["a.jpg", "in/b.jpg", "in\\c.jpg", "../up/d.jpg", "/home/me/e.jpg", "C:\\photos\\f.jpg", "x/../../g.jpg", ".."]
    assert name(Names(), *given) == ["a.jpg", "in/b.jpg", "in/c.jpg", "up/d.jpg", "e.jpg", "f.jpg", "g.jpg", "5.jpg"]


def test_pictures_of_one_name_get_numbers_whatever_the_endings_and_capitals():
    names = Names()
    assert name(names, "a.jpg", "a-2.jpg", "A.png", "in/a.jpg", "a.tif") == [
        "a.jpg",
        "a-2.jpg",
        "A-3.png",
        "in/a.jpg",
        "a-4.tif",
    ]
    assert names.changed == 2
    flat = Names(flat=True)
    assert name(flat, "one/a.jpg", "two/a.jpg") == ["a.jpg", "a-2.jpg"]
    told = []
    advise_on_pictures(0, flat, "there", told.append)
    assert told == ["1 name was changed, because two pictures would have shared it"]


def test_a_place_where_no_link_can_be_made_says_what_to_do(tmp_path, monkeypatch):
    picture = tmp_path / "a.png"
    picture.write_bytes(b"picture")

    def refuse(*_):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr("pathlib.Path.symlink_to", refuse)
    with pytest.raises(MaskzooError, match="--pictures copy"):
        place_picture(picture, tmp_path / "out/a.png", "link")
    assert place_picture(picture, tmp_path / "out/a.png", "copy")


def test_a_picture_stays_where_it_is_the_one_that_is_there_already(tmp_path):
    picture = tmp_path / "a.png"
    picture.write_bytes(b"picture")
    assert place_picture(picture, picture, "link") and place_picture(picture, picture, "copy")
    assert picture.read_bytes() == b"picture" and not picture.is_symlink()


def test_a_link_that_leads_elsewhere_is_replaced(tmp_path):
    for letter in "ab":
        (tmp_path / f"{letter}.png").write_text(letter)
    link = tmp_path / "link.png"
    link.symlink_to(tmp_path / "b.png")
    assert place_picture(tmp_path / "a.png", link, "link")
    assert link.read_text() == "a" and (tmp_path / "b.png").read_text() == "b"


def test_without_pictures_none_is_placed_and_what_stands_there_is_told(tmp_path):
    picture, target = tmp_path / "a.png", tmp_path / "out" / "a.png"
    picture.write_bytes(b"a picture")
    assert not place_picture(picture, target, "none") and not place_picture(None, target, "copy")
    assert not target.parent.exists()
    assert place_picture(picture, target, "copy") and target.read_bytes() == b"a picture"
    assert place_picture(None, target, "copy") and place_picture(picture, target, "none")
