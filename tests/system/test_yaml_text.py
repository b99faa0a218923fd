import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maskzoo.system.yaml_text import MAX_DEPTH, parse_yaml_text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("# nothing", None),
        ("~", None),
        ("null", None),
        ("a:", {"a": None}),
        ("true", True),
        ("FALSE", False),
        ("yes", "yes"),
        ("Off", "Off"),
        ("y", "y"),
        ("0", 0),
        ("-7", -7),
        ("010", 10),
        ("0o17", 15),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("0b11", "0b11"),
        ("1e3", 1000.0),
        ("1.5", 1.5),
        (".5", 0.5),
        ("5.", 5.0),
        ("-.inf", float("-inf")),
        ("1e400", float("inf")),
        ("2026-13-01", "2026-13-01"),
        ("2026-11-29", "2026-11-29"),
        ("2001-12-14t21:59:43.10-05:00", "2001-12-14t21:59:43.10-05:00"),
        ("=", "="),
        ("a: {<<: {b: 1}}", {"a": {"<<": {"b": 1}}}),
        ("'5'", "5"),
        ('"true"', "true"),
        ("|\n  5\n", "5\n"),
        ("[1, [2, {a: 3}]]", [1, [2, {"a": 3}]]),
        ("- 1\n- b", [1, "b"]),
        ("1: a\n2: b", {1: "a", 2: "b"}),
        ("9" * 400, int("9" * 400)),
        ("--- 5", 5),
        ("&a 5", 5),
    ],
)
def test_core_scalars_are_resolved_and_everything_else_is_text(text, value):
    found = parse_yaml_text(text)
    assert found == value and type(found) is type(value)


def test_what_is_not_a_number_is_one():
    assert parse_yaml_text(".nan") != parse_yaml_text(".NaN")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("!!int abc", "tags"),
        ("!!bool xyz", "tags"),
        ("!!float x", "tags"),
        ("!!timestamp x", "tags"),
        ("!!binary '*'", "tags"),
        ("!!python/object/apply:os.system [ls]", "tags"),
        ("!!set {a}", "tags"),
        ("!x y", "tags"),
        ("a: !!null x", "tags"),
        ("!!omap 5", "tags"),
        ("! 5", "tags"),
        ("!!str 5", "tags"),
        ("9" * 401, "401 digits"),
        ("1." + "9" * 5000, "5002 digits"),
        ("0x" + "f" * 5000, "5002 digits"),
        ("a: &a [1]\nb: *a", "line 2: aliases"),
        ("a: 1\nb: 2\na: 3", "line 3: key 'a' is given"),
        ("1: a\n'1': b", "given twice"),
        ("? [1]\n: 2", "a key is a list"),
        ("? {a: 1}\n: 2", "a key is a list"),
        ("*a : 1", "key"),
        ("a\n---\nb", "second document"),
        ("[" * 3000, ""),
        ("{a: " * 3000, ""),
        ("- " * 3000, ""),
        ("[", ""),
        ("a: b: c", ""),
        ("\x00", ""),
        ("\ud800", ""),
        ("%YAML 9.9\n--- 1", ""),
        ("%TAG ! !!\n--- !int x", ""),
        ("\t- a", ""),
        ("&a", None),
        ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "nested deeper"),
    ],
)
def test_what_is_neither_plain_value_nor_yaml_is_refused(text, says):
    if says is None:
        assert parse_yaml_text(text) in (None, "")
        return
    with pytest.raises(ValueError, match=says or ".") as caught:
        parse_yaml_text(text)
    assert type(caught.value) is ValueError and len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "text",
    [
        "[" + "1," * 500_000 + "]",
        "- a\n" * 250_000,
        "\n".join(f"{number}: x" for number in range(100_000)),
        "a" * 1_000_000,
        "{" * 1_000_000,
        "? " * 500_000,
        "a: &b c\n" + "d: *b\n" * 160_000,
        "'" + "''" * 500_000 + "'",
        "# " * 500_000,
    ],
    ids=["numbers", "list", "keys", "text", "braces", "questions", "aliases", "quotes", "comment"],
)
def test_a_megabyte_takes_seconds_at_most(text):
    began = time.process_time()
    try:
        parse_yaml_text(text)
    except ValueError as error:
        assert len(str(error)) < 400
    assert time.process_time() - began < 5


PIECES = st.sampled_from(
    [
        "a",
        "b: ",
        "- ",
        "\n",
        "  ",
        "[",
        "]",
        "{",
        "}",
        ",",
        "!!int ",
        "!!",
        "&x ",
        "*x",
        "<<: ",
        "'",
        '"',
        "|",
        ">",
        "2026-13-01",
        "1e999",
        "0x",
        "-",
        "? ",
        ": ",
        "#",
        "%",
        "\u2028",
        "\x85",
        "\ufeff",
        "~",
        ".nan",
        "9" * 30,
    ]
)


@settings(deadline=None, max_examples=300)
@given(st.one_of(st.lists(PIECES, max_size=30).map("".join), st.text(max_size=60)))
def test_any_text_gives_plain_values_or_a_value_error(text):
    try:
        value = parse_yaml_text(text)
    except ValueError as error:
        assert type(error) is ValueError
        return
    todo = [value]
    for one in todo:
        assert type(one) in (dict, list, str, int, float, bool, type(None))
        todo += [*one, *one.values()] if isinstance(one, dict) else one if isinstance(one, list) else []
