import gc
import math

import pytest

from maskzoo.system.json_text import parse_json


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_every_encoding_of_json_is_read_with_and_without_a_byte_order_mark(encoding):
    assert parse_json('{"név": [1, 2.5, null]}'.encode(encoding)) == {"név": [1, 2.5, None]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "the file is empty, 0 bytes"),
        (b'{"a": 1,\n "b": {"c": 1, "c": 2}}', r'the key "c" stands twice in one object: line 2 column 16'),
        (b'{"a": 1, "\\u0061": 2}', r"stands twice in one object"),
        (b'{"a": [1,}', "line 1 column 10"),
        (b"[" * 100_000, "nested too deep"),
    ],
)
def test_a_fault_is_told_with_its_place(text, message):
    with pytest.raises(ValueError, match=message):
        parse_json(text)


def test_one_key_in_two_objects_and_braces_in_text_are_no_fault():
    assert parse_json(b'[{"a": "{"}, {"a": "}"}]') == [{"a": "{"}, {"a": "}"}]


def test_nan_comes_as_a_number_for_whoever_knows_its_row():
    assert math.isnan(parse_json(b"[NaN]")[0])


def test_the_garbage_collector_is_left_as_it_was():
    for switch in (gc.disable, gc.enable):
        switch()
        before = gc.isenabled()
        parse_json(b"{}")
        assert gc.isenabled() == before
