"""Names of classes are read from every usual kind of file, in the order of their numbers."""

import pytest

from maskzoo.datasets.importers.class_names import read_class_names
from maskzoo.errors import AnnotationsError, ArgumentError, ConfigError

NAMES = ["cat", "dog", "big hen"]
LABELMAP = "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:1,0,0::\ndog:2,0,0::\nbig hen:3,0,0::\n"
CATEGORIES = '{"categories": [{"id": 9, "name": "big hen"}, {"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]}'


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", "cat\r\ndog\r\n\r\nbig hen"),
        ("obj.names", "\ufeffcat\ndog\nbig hen\n"),
        ("a.txt", "0 cat\n1 dog\n2 big hen\n"),
        ("a.txt", "1: cat\n2: dog\n3: big hen\n"),
        ("labelmap.txt", LABELMAP),
        ("a.json", '["cat", "dog", "big hen"]'),
        ("a.json", '{"2": "big hen", "0": "cat", "1": "dog"}'),
        ("a.json", '{"big hen": 3, "cat": 1, "dog": 2}'),
        ("a.json", CATEGORIES),
        ("a.json", '{"classes": ["cat", "dog", "big hen"]}'),
        ("a.yml", "- cat\n- dog\n- big hen\n"),
        ("a.yaml", "0: cat\n1: dog\n2: big hen\n"),
        ("data.yaml", "train: images\nnc: 3\nnames: [cat, dog, big hen]\n"),
        ("data.yaml", "names:\n  0: cat\n  1: dog\n  2: big hen\n"),
    ],
)
def test_a_file_of_any_form_gives_the_names_in_order(tmp_path, name, text):
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert read_class_names(tmp_path / name) == read_class_names(str(tmp_path / name)) == NAMES


def test_texts_and_sequences_are_names(tmp_path):
    assert read_class_names("cat, dog ,big hen") == read_class_names(NAMES) == read_class_names(tuple(NAMES)) == NAMES
    (tmp_path / "coins.txt").write_text("1 cent\n2 cent\n")
    assert read_class_names(tmp_path / "coins.txt") == ["1 cent", "2 cent"]


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.txt", "\n"), ("a.txt", "a\na\n"), ("a.json", "{}"), ("a.json", "3"), ("a.json", '[["a"]]'), ("a.yml", "a: [b]")],
)
def test_a_file_without_names_or_with_one_twice_is_refused(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(ArgumentError, match="expected names, each once"):
        read_class_names(tmp_path / name)


def test_a_file_that_is_not_there_or_damaged_is_named(tmp_path):
    with pytest.raises(ArgumentError, match=r"names\.txt: no such file"):
        read_class_names("names.txt")
    for name, error in (("a.json", AnnotationsError), ("a.yml", ConfigError)):
        (tmp_path / name).write_text("[cat")
        with pytest.raises(error, match=name):
            read_class_names(tmp_path / name)
