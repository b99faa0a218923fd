"""A fault is data; its sentence is made when it is shown, short and without what a terminal should not see."""

import json

import pytest

from maskzoo.errors import AnnotationsError, list_some
from maskzoo.faults import Fault, Words, quote


def make(**changes):
    what = {"code": "bad-area", "file": "a.json", "table": "annotations", "row": 7, "place": 3, "field": "area"}
    return Fault(**(what | {"found": None, "expected": "a number"} | changes))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, "a.json: annotation 7: area: found None; expected a number"),
        ({"row": None}, "a.json: annotation at place 3: area: found None; expected a number"),
        ({"table": "results"}, "a.json: row 7: area: found None; expected a number"),
        ({"table": "", "row": None, "place": None}, "a.json: area: found None; expected a number"),
        ({"field": "segmentation", "part": 2}, "a.json: annotation 7: segmentation[2]: found None; expected a number"),
        ({"field": ""}, "a.json: annotation 7: found None; expected a number"),
        ({"found": "7 again"}, "a.json: annotation 7: area: found '7 again'; expected a number"),
        ({"found": Words("{} again", 7)}, "a.json: annotation 7: area: found 7 again; expected a number"),
        (
            {"expected": Words("{}, as in {} ({})", "a{b}", Words("train"), Words("{no value}"))},
            "a.json: annotation 7: area: found None; expected 'a{b}', as in train ({no value})",
        ),
    ],
)
def test_the_sentence_says_file_row_field_what_was_found_and_expected(changes, sentence):
    assert str(make(**changes)) == sentence


def test_values_of_the_data_stay_values_until_they_are_shown():
    fault = make(found=[1, float("nan")], expected=Words("the outline's, {:g}", 2.5))
    assert fault.found[0] == 1 and fault.expected.values == (2.5,)
    printed = json.loads(json.dumps(fault.to_dict(), allow_nan=False))
    assert (printed["found"], printed["expected"]) == ("[1, nan]", "the outline's, 2.5")
    assert (printed["table"], printed["row"], printed["place"]) == ("annotations", 7, 3)


def test_what_is_shown_is_short_and_has_no_control_characters():
    evil = "a\x1b[31m\ud800\n"
    assert quote(evil) == repr(evil)
    assert "\x1b" not in str(make(file=evil, found=evil, expected=Words("{} or {}", evil, Words(evil))))
    assert len(quote([0] * 100_000)) == len(quote("x" * 1000)) == len(quote(10**1000)) == 120
    assert len(str(Words("the count {}", 10**1000))) < 150


def test_a_value_nested_too_deep_is_no_error():
    value = []
    for _ in range(100_000):
        value = [value]
    assert "too deep" in str(make(found=value))


def test_a_list_that_is_cut_says_how_many_more_there_are():
    assert list_some([]) == ""
    assert list_some("abc") == "a, b, c"
    assert list_some(map(str, range(2000)), 2) == "0, 1 and 1,998 more"
    assert list_some("abc", 2, "\n") == "a\nb\nand 1 more"


def test_the_error_has_all_faults_and_its_message_the_first_20():
    error = AnnotationsError([make(row=number) for number in range(30)], "look")
    lines = str(error).splitlines()
    assert len(error.faults) == 30 and len(lines) == 22
    assert lines[19:] == ["a.json: annotation 19: area: found None; expected a number", "and 10 more", "look"]
