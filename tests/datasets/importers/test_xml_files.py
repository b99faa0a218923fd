"""XML of strangers is read as elements, and nothing in it leads to other files or fills the memory."""

import pytest

from maskzoo.datasets.importers.xml_files import read_numbers, read_xml
from maskzoo.errors import SourceError


def write(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_elements_attributes_and_text_are_read_in_the_usual_encodings(tmp_path, encoding):
    root = read_xml(write(tmp_path / "a.xml", "<a><b name='Kätzchen &amp; 猫'>text</b></a>", encoding))
    assert root.find("b").get("name") == "Kätzchen & 猫" and root.findtext("b") == "text"


BOMB = '<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;">]><a>&c;</a>'
OTHER_FILE = '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BOMB, "has a document type"),
        (OTHER_FILE, "has a document type"),
        ('<!DOCTYPE a SYSTEM "http://there.example/a.dtd"><a/>', "has a document type"),
        ("<a><b></a>", "no XML: mismatched tag: line 1"),
        ("", "no XML: no element found"),
        ("<a>&b;</a>", "no XML: undefined entity"),
        ("<a>" * 60 + "</a>" * 60, "nested more than 50 deep"),
        ("<?xml version='1.0' encoding='nonsense'?><a/>", "unknown encoding|cannot be read"),
    ],
)
def test_what_is_not_plain_xml_is_refused_with_its_name(tmp_path, text, said):
    with pytest.raises(SourceError, match=said) as caught:
        read_xml(write(tmp_path / "a.xml", text))
    assert str(caught.value).startswith(str(tmp_path / "a.xml"))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SourceError, match=r"a\.xml: cannot be read"):
        read_xml(tmp_path / "a.xml")


def test_numbers_are_finite(tmp_path):
    assert read_numbers(["1", "2.5"], "x, y") == [1, 2.5]
    for texts in (["1", None], ["nan"], ["1e999"], ["one"], []):
        with pytest.raises(ValueError, match=r"x, y are .*expected finite numbers"):
            read_numbers(texts, "x, y")
