"""Text that is not UTF-8 is called by its encoding, with a sample."""

import json

import pytest

from maskzoo.system.encodings import LOOKED_AT, describe_encoding
from maskzoo.system.json_text import parse_json


def describe(content):
    with pytest.raises(UnicodeDecodeError) as caught:
        content.decode("utf-8")
    return describe_encoding(content, caught.value)


@pytest.mark.parametrize(
    ("name", "text", "encoding"),
    [
        ("GB18030 (GBK", "划痕", "gbk"),
        ("GB18030 (GBK", "照片 一", "gb18030"),
        ("GB18030 (GBK", "裂缝和凹坑", "gbk"),
        ("CP949 (Korean", "긁힘", "cp949"),
        ("CP932 (Shift-JIS", "へこみ", "cp932"),
        ("CP932 (Shift-JIS", "ひっかき傷", "cp932"),
        ("CP1251 (Cyrillic", "царапина", "cp1251"),
        ("CP1252 (Latin-1", "Kratzer größer", "latin-1"),
        ("CP1252 (Latin-1", "éraflure créée", "cp1252"),
    ],
)
def test_an_encoding_is_named_with_what_the_text_says_in_it(name, text, encoding):
    said = describe(json.dumps({"file_name": f"{text}.jpg"}, ensure_ascii=False).encode(encoding))
    assert f"{name}" in said and f"where it says '{text}.jpg'" in said
    assert "codec can't decode byte" in said and "convert it" in said and "iconv -f" in said


@pytest.mark.parametrize("encoding", ["cp1251", "cp1252"])
def test_one_alphabet_is_not_taken_for_another(encoding):
    said = describe({"cp1251": "царапина и вмятина", "cp1252": "café, Öl, naïve"}[encoding].encode(encoding))
    assert encoding.upper() in said and said.count("where it says") == 1


def test_bytes_that_are_no_text_look_like_nothing(tmp_path):
    assert describe(b'{"a": "\xff\xfe\x81\xff"}').endswith("expected UTF-8: save it so")


def test_a_long_text_is_told_by_its_beginning():
    names = json.dumps([f"{number}划痕" for number in range(LOOKED_AT // 8)], ensure_ascii=False)
    assert "GB18030" in describe(names.encode("gbk"))


def test_the_reader_of_json_says_it():
    with pytest.raises(ValueError, match=r"it looks like GB18030 .*'划痕'"):
        parse_json('{"name": "划痕"}'.encode("gbk"))
