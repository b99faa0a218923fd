"""Lists of classes beside masks say which number and which colour is which class, with or without the background."""

import pytest

from maskzoo.datasets.importers.class_lists import choose_classes, find_class_list, pack_colour, parse_class_list, voc_colour
from maskzoo.errors import SourceError

LABELMAP = ["# label:color_rgb:parts:actions", "background:0,0,0::", "scratch:250,50,83::", "dent:51,221,255::"]


@pytest.mark.parametrize("before", [[], ["_background_"], ["background"], ["__ignore__", "_background_"], ["", "Background "]])
def test_a_list_of_names_numbers_them_from_one_with_or_without_the_background(before):
    listed = parse_class_list([*before, "scratch", " dent"], "a.txt")
    assert listed.names == ("scratch", "dent") and listed.numbers == {1: "scratch", 2: "dent"} and listed.colours == {}


@pytest.mark.parametrize(
    ("lines", "numbers"),
    [
        (["BG", "scratch", "dent"], {1: "scratch", 2: "dent"}),
        (["背景", "scratch", "dent"], {1: "scratch", 2: "dent"}),
        (["0 _background_", "1 scratch", "2 dent"], {1: "scratch", 2: "dent"}),
        (["0: background", "1: scratch", "2: dent"], {1: "scratch", 2: "dent"}),
        (["1. scratch", "2. big dent"], {1: "scratch", 2: "big dent"}),
        (["_background_,scratch, dent"], {1: "scratch", 2: "dent"}),
        (["1 cent", "2 cent"], {1: "1 cent", 2: "2 cent"}),  # numbers that are a part of the names
        (["3 wheels", "4 wheels", "car"], {1: "3 wheels", 2: "4 wheels", 3: "car"}),
        (["dent", "BG"], {1: "dent", 2: "BG"}),
    ],
)
def test_numbers_before_names_and_other_words_for_the_background_are_understood(lines, numbers):
    assert parse_class_list(lines, "a.txt").numbers == numbers


@pytest.mark.parametrize("form", ["{}:250,50,83", "{}: 250 50 83", "{}:#fa3253", "{}:250,50,83::"])
def test_colours_may_be_written_in_other_ways(form):
    assert parse_class_list([form.format("dent"), "background:0,0,0"], "a.txt").colours == {pack_colour(250, 50, 83): "dent"}


def test_a_labelmap_gives_colours_and_numbers_and_its_own_place_of_the_background():
    listed = parse_class_list(LABELMAP, "labelmap.txt")
    assert listed.names == ("scratch", "dent")
    assert listed.colours == {pack_colour(250, 50, 83): "scratch", pack_colour(51, 221, 255): "dent"}
    assert listed.numbers == {1: "scratch", 2: "dent"}
    turned = parse_class_list([LABELMAP[2], LABELMAP[1]], "labelmap.txt")
    assert turned.names == ("scratch",) and turned.colours == {pack_colour(250, 50, 83): "scratch"}


def test_without_colours_a_labelmap_has_those_of_vocs_palette():
    assert parse_class_list(["background:::", "cat:::", "dog:::"], "labelmap.txt").colours == {
        pack_colour(128, 0, 0): "cat",
        pack_colour(0, 128, 0): "dog",
    }
    assert voc_colour(255) == pack_colour(224, 224, 192)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["a", "b", "a"], "names 'a' twice"),
        (["background"], "names no class"),
        (["a", "_background_"], "'_background_' stands after a class"),
        (["a:1,2::", "b:1,2,3::"], "the colour of 'a' is '1,2'"),
        (["a:1,2,300::"], "from 0 to 255"),
        (["a:1,2,x::"], "from 0 to 255"),
        (["a:1,2,3::", "b:1,2,3::"], "'b' has the colour of 'a'"),
        (["a:0,0,0::"], "'a' has the colour of 'the background'"),
    ],
)
def test_a_list_that_makes_no_sense_is_refused_with_its_name(lines, said):
    with pytest.raises(SourceError, match=f"^a.txt: .*{said}"):
        parse_class_list(lines, "a.txt")


def test_two_lists_must_agree(tmp_path):
    (tmp_path / "class_names.txt").write_text("_background_\nscratch\ndent\n")
    (tmp_path / "labels.txt").write_text("__ignore__\n_background_\nscratch\ndent\n")
    assert find_class_list([tmp_path / "inner", tmp_path]).names == ("scratch", "dent")
    (tmp_path / "labels.txt").write_text("dent\nscratch\n")
    with pytest.raises(
        SourceError, match=r"labels\.txt: names dent, scratch, but class_names\.txt beside it names scratch, dent"
    ):
        find_class_list([tmp_path])
    assert find_class_list([tmp_path / "inner"]) is None


def test_given_classes_choose_among_those_listed_and_name_the_numbers_without_a_list():
    listed = parse_class_list(LABELMAP, "labelmap.txt")
    assert choose_classes(listed, None) is listed and choose_classes(None, None) is None
    chosen = choose_classes(listed, ["dent", "scratch"])
    assert chosen.names == ("dent", "scratch") and chosen.numbers == listed.numbers
    assert choose_classes(None, ["_background_", "a", "b"]).numbers == {1: "a", 2: "b"}
    assert choose_classes(None, LABELMAP).colours == listed.colours
    with pytest.raises(SourceError, match="names the classes scratch, dent, but --classes has crack"):
        choose_classes(listed, ["scratch", "crack"])
