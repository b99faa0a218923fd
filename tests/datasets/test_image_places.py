"""Files of images are found by the last parts of names that were written elsewhere, when exactly one fits."""

import unicodedata
from pathlib import Path

import pytest

from maskzoo.datasets.image_folders import look_for_images
from maskzoo.datasets.image_places import find_places


def make(folder, *files):
    for name in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def places(folder, *names, given=None, split="train", file="train.json", taken=()):
    source = folder / file
    found, _ = look_for_images(names, str(source), given, split)
    return find_places(names, source, given, split, found, taken)


def matched(folder, *names, **options):
    found = places(folder, *names, **options)
    return None if found is None else {name: match.path for name, match in found.matches.items()}


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("images\\a1.jpg", "path of Windows"),
        ("C:\\Users\\me\\set\\a1.jpg", "path of Windows"),
        ("C:/Users/me/set/a1.jpg", "another folder"),
        ("..\\..\\upload\\4\\a1.jpg", "path of Windows"),
        ("/home/me/set/a1.jpg", "another machine"),
        ("./somewhere/else/a1.jpg", "another folder"),
        ("a1.JPG", "capitals"),
        ("A1.Jpg", "capitals"),
        ("https://example.com/bucket/a1.jpg", "an address"),
        ("https://example.com/bucket/a1.jpg?signature=x/y.jpg#part", "an address"),
        ("s3://bucket/deep/a1.jpg", "an address"),
        ("/data/local-files/?d=set/photos/a1.jpg", "an address"),
        ("/data/local-files/?d=C%3A%5Cset%5Ca1.jpg", "an address"),
        ("1a2b3c4d-a1.jpg", "prefix of an upload"),
        ("/data/upload/4/1a2b3c4d-a1.jpg", "another machine"),
        ("%61%31.jpg", "escapes"),
        (" a1.jpg", "composed"),
        ("a1", "ending"),
        ("a1.png", "ending"),
        ("a1.jpg.jpg", "ending"),
        ("a1_jpg.rf.0123456789abcdef0123456789abcdef.jpg", "Roboflow"),
        ("a001.jpg", "zeros"),
    ],
)
def test_a_name_of_another_place_leads_to_the_one_file_that_fits(tmp_path, name, how):
    make(tmp_path, "photos/a1.jpg", "photos/b1.jpg")
    found = places(tmp_path, name)
    assert found.path(name) == tmp_path / "photos" / "a1.jpg" and how in found.matches[name].how


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("a b.jpg", "a%20b.jpg"),
        ("a+b.jpg", "a b.jpg"),
        ("a1.jpg", "a1_png.rf.0123456789abcdef0123456789abcdef.jpg"),
        ("foto_Ã©1.jpg", "foto_é1.jpg"),  # UTF-8 read as Windows' letters
        ("фото.jpg", "фото.jpg".encode().decode("latin-1")),
        ("a ñ.jpg", "a ñ.jpg".encode().decode("cp437")),  # and as those of its archives
        ("1a2b3c4d-a_b_1.jpg", "A b (1).jpg"),
        ("a%20b.jpg", "a b.jpg"),
        ("a1.jpg", "0c1d2e3f-a1.jpg"),
        ("9a8b7c6d-a1.jpg", "0c1d2e3f-a1.jpg"),
        (unicodedata.normalize("NFC", "사진 café.jpg"), unicodedata.normalize("NFD", "사진 café.jpg")),
        (unicodedata.normalize("NFD", "Größe.JPG"), unicodedata.normalize("NFC", "größe.jpg")),
        ("https://x.org/caf%C3%A9.jpg", unicodedata.normalize("NFD", "café.jpg")),
    ],
)
def test_escapes_prefixes_and_composed_letters_are_the_same_on_either_side(tmp_path, name, file):
    make(tmp_path, f"images/{file}", "images/other.jpg")
    assert matched(tmp_path, name) == {name: file}


def test_the_deepest_usual_folder_is_that_of_all_images(tmp_path):
    make(tmp_path, "images/train/a.jpg", "images/train/deep/b.jpg")
    found = places(tmp_path, "/x/a.jpg", "/x/b.jpg")
    assert found.folder == tmp_path / "images" / "train"
    assert {name: match.path for name, match in found.matches.items()} == {"/x/a.jpg": "a.jpg", "/x/b.jpg": "deep/b.jpg"}


def test_files_in_two_folders_are_named_from_the_folder_of_both(tmp_path):
    make(tmp_path, "images/a.jpg", "more/b.jpg")
    found = places(tmp_path, "a.jpg", "b.jpg")
    assert found.folder == tmp_path and found.path("a.jpg") == tmp_path / "images/a.jpg"
    assert {name: bool(match.how) for name, match in found.matches.items()} == {"a.jpg": False, "b.jpg": True}


def test_of_two_files_that_fit_the_one_in_more_of_the_same_folders_is_meant(tmp_path):
    make(tmp_path, "one/cam1/a.jpg", "one/cam2/a.jpg")
    assert matched(tmp_path, "C:\\set\\cam2\\a.jpg") == {"C:\\set\\cam2\\a.jpg": "one/cam2/a.jpg"}


def test_of_two_files_that_fit_alike_the_one_of_the_split_is_meant(tmp_path):
    make(tmp_path, "pictures/train/a.jpg", "pictures/val/a.jpg")
    for split in ("train", "val"):
        assert matched(tmp_path, "/x/a.jpg", split=split, file=f"{split}.json") == {"/x/a.jpg": f"pictures/{split}/a.jpg"}


def test_two_files_that_fit_alike_are_candidates_and_nothing_is_guessed(tmp_path):
    make(tmp_path, "one/a.jpg", "two/a.jpg", "b.jpg")
    found = places(tmp_path, "b.jpg", "/x/a.jpg")
    assert found.matches == {} and sorted(Path(path).parent.name for path in found.candidates["/x/a.jpg"]) == ["one", "two"]
    assert places(tmp_path, "/x/a.jpg") is None


def test_two_names_that_would_mean_one_file_mean_none(tmp_path):
    make(tmp_path, "images/a.jpg", "images/b.jpg")
    found = places(tmp_path, "b.jpg", "/x/a.jpg", "/y/a.jpg")
    assert found.matches == {} and set(found.candidates) == {"/x/a.jpg", "/y/a.jpg"}


def test_a_file_that_is_called_by_its_name_is_not_meant_by_another(tmp_path):
    make(tmp_path, "images/a.jpg")
    assert matched(tmp_path, "a.jpg", "/x/a.jpg") == {}
    make(tmp_path, "val/b.jpg")
    assert matched(tmp_path, "a.jpg", "/x/b.jpg", taken=[tmp_path / "val" / "b.jpg"]) == {}


def test_a_given_folder_alone_is_looked_through(tmp_path):
    make(tmp_path, "here/a.jpg", "given/b.jpg")
    assert matched(tmp_path, "/x/a.jpg", "/x/b.jpg", given=tmp_path / "given") == {"/x/b.jpg": "b.jpg"}


def test_the_tree_is_that_of_the_folder_above_one_for_annotations(tmp_path):
    make(tmp_path, "set/images/a.jpg", "other/b.jpg")
    assert matched(tmp_path, "/x/a.jpg", "/x/b.jpg", file="set/annotations/train.json") == {"/x/a.jpg": "a.jpg"}


def test_hidden_files_and_names_of_nothing_fit_nothing(tmp_path):
    make(tmp_path, "images/._a.jpg", ".cache/a.jpg", "images/b.jpg")
    assert matched(tmp_path, "b.jpg", "/x/a.jpg", "..", "/") == {}


@pytest.mark.parametrize("inner", ["masks", "SegmentationObject", "labels/train"])
def test_a_mask_of_the_same_name_is_no_photo(tmp_path, inner):
    make(tmp_path, "images/b.png", f"{inner}/a.png", f"{inner}/b.png")
    assert matched(tmp_path, "b.png", "a.png") == {}
    assert matched(tmp_path, "b.png", "a.jpg") == {}
    name = f"C:\\set\\{inner.partition('/')[0]}\\a.png"  # unless the name says so
    assert matched(tmp_path, "images/b.png", name) == {name: f"{inner}/a.png"}


def test_an_ending_that_was_changed_or_left_out_is_the_last_thing_to_differ(tmp_path):
    make(tmp_path, "images/a.jpg", "images/b.v2.png", "images/c.png", "images/c.jpg")
    assert matched(tmp_path, "a.png", "b.v2", "x/c.bmp") == {"a.png": "a.jpg", "b.v2": "b.v2.png"}


def test_the_folder_of_images_is_found_by_any_of_their_names(tmp_path):
    make(tmp_path, *(f"images/{number}.jpg" for number in range(500, 503)))
    names = [f"{number}.jpg" for number in range(503)]
    assert look_for_images(names, str(tmp_path / "train.json"), None, "train")[0] == tmp_path / "images"


def test_a_folder_of_any_name_is_found_by_what_it_holds(tmp_path):
    make(tmp_path, "deep/in/raw/1.jpg", "deep/in/raw/2.jpg", "deep/other/1.jpg", "deep/masks/1.jpg", "deep/masks/2.jpg")
    source = str(tmp_path / "annotations" / "train.json")
    assert look_for_images(["1.jpg", "2.jpg"], source, None, "train")[0] == tmp_path / "deep" / "in" / "raw"
    assert look_for_images(["raw/1.jpg", "raw/2.jpg"], source, None, "train")[0] == tmp_path / "deep" / "in"
    assert look_for_images(["1.jpg"], source, None, "train")[0] is None  # which one?
    make(tmp_path, "Deep/Val/1.jpg", "Deep/Train/1.jpg")
    assert look_for_images(["1.jpg"], source, None, "val")[0] == tmp_path / "Deep" / "Val"
    make(tmp_path, "photos/Test/4.jpg")
    assert look_for_images(["4.jpg"], source, None, "val")[0] is None  # it is another split's
    assert look_for_images(["1.jpg", "3.jpg"], source, None, "val")[0] is None


def test_the_folder_with_most_of_the_images_is_theirs(tmp_path):
    make(tmp_path, "train/1.jpg", *(f"images/{number}.jpg" for number in range(5)))
    names = [f"{number}.jpg" for number in range(5)]
    assert look_for_images(names, str(tmp_path / "train.json"), None, "train")[0] == tmp_path / "images"
