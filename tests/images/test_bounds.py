"""A picture outside of the folder that the user named is not read, whatever a file calls it."""

import pytest

from maskzoo.errors import SourceError
from maskzoo.images.bounds import Bounds


@pytest.fixture
def tree(tmp_path):
    for name in ("set/images/a.png", "set/other/b.png", "private/c.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    (tmp_path / "set/images/link.png").symlink_to(tmp_path / "private/c.png")
    (tmp_path / "set/images/down").symlink_to(tmp_path / "private")
    (tmp_path / "set/images/own.png").symlink_to("../other/b.png")
    (tmp_path / "set/images/round").symlink_to("round")
    (tmp_path / "named").symlink_to(tmp_path / "set")
    return tmp_path


@pytest.mark.parametrize("name", ["a.png", "../other/b.png", "own.png", "./a.png", "../images/../images/a.png", "none/yet.png"])
@pytest.mark.parametrize("folder", ["set", "named"])
def test_what_stays_in_the_folder_is_held_also_by_links_and_two_dots(tree, folder, name):
    assert Bounds([tree / folder]).hold(tree / "set/images" / name)


@pytest.mark.parametrize(
    "name",
    [
        "../../private/c.png",
        "link.png",
        "down/c.png",
        "down/../private/c.png",
        "..",
        "../../settings/a.png",
        "a\0.png",
        "a\0/b.png",
    ],
)
def test_what_leads_elsewhere_is_not(tree, name):
    assert not Bounds([tree / "set/images"]).hold(tree / "set/images" / name)


def test_absolute_paths_are_held_where_they_lead_inside(tree):
    bounds = Bounds([tree / "set"])
    assert bounds.hold(tree / "set/images" / str(tree / "set/other/b.png"))
    assert not bounds.hold(tree / "set/images" / "/etc/passwd")


def test_a_link_in_a_circle_leads_nowhere_and_ends(tree):
    Bounds([tree / "set"]).hold(tree / "set/images/round/a.png")


def test_the_message_names_the_first_and_a_folder_that_allows_all(tree):
    named = [(name, tree / "set/images" / name) for name in ("a.png", "link.png", "../../private/c.png")]
    with pytest.raises(SourceError, match="2 of 3 pictures lie outside") as caught:
        Bounds([tree / "set"]).check(named, "train.json", tree / "set/images")
    said = str(caught.value)
    assert "'link.png'" in said and str(tree / "private/c.png") in said and said.endswith(f"--images {tree}")
    Bounds([tree]).check(named, "train.json", tree / "set/images")
