"""Category id <-> label <-> name, for any layout of ids."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maskzoo.datasets.classes import ClassMap, match_classes
from maskzoo.errors import ConfigError
from maskzoo.zoo.rows import names, read_row

LAYOUTS = st.one_of(
    st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=20, unique=True),
    st.tuples(st.sampled_from([0, 1]), st.integers(1, 40)).flatmap(
        lambda layout: st.permutations(list(range(layout[0], layout[0] + layout[1])))
    ),
)


@settings(max_examples=2000, deadline=None)
@given(LAYOUTS)
def test_ids_labels_and_names_go_round_for_any_layout(ids):
    classes = ClassMap(tuple(ids), tuple(f"name of {number}" for number in ids))
    labels = np.arange(len(ids))
    assert classes.to_ids(labels).tolist() == list(ids)
    assert classes.to_labels(ids).tolist() == labels.tolist()
    assert ClassMap.from_classes(classes.to_classes()) == classes
    assert [(row["id"], row["name"]) for row in classes.to_categories()] == list(classes.to_classes().items())
    assert [classes.to_classes()[number] for number in ids] == list(classes.names)
    absent = max(ids) - 1 if max(ids) - 1 not in ids and max(ids) > 0 else None
    if absent is not None:
        with pytest.raises(ConfigError, match=f"no category has the id {absent}"):
            classes.to_labels([absent])


def test_labels_follow_the_order_of_the_file():
    classes = ClassMap.from_classes({7: "b", 2: "a"})
    assert (classes.ids, classes.names) == ((7, 2), ("b", "a"))
    assert classes.to_labels([2, 7, 2]).tolist() == [1, 0, 1]


@pytest.mark.parametrize("row", names())
def test_every_published_row_has_cocos_eighty_classes(row):
    classes = ClassMap.from_classes(read_row(row).classes)
    assert len(classes) == 80
    assert classes.to_ids([0, 11, 79]).tolist() == [1, 13, 90]


def test_unknown_ids_labels_and_repeats_are_refused():
    classes = ClassMap((3, 1), ("a", "b"))
    with pytest.raises(ConfigError, match="no category has the id 2"):
        classes.to_labels([3, 2])
    for label in (-1, 2):
        with pytest.raises(ConfigError, match=f"label {label}; expected 0 to 1"):
            classes.to_ids([label])
    with pytest.raises(ConfigError, match="3 stands more than once"):
        ClassMap((3, 1, 3), ("a", "b", "c"))
    with pytest.raises(ConfigError, match="2 ids and 1 names"):
        ClassMap((3, 1), ("a",))


def test_equal_classes_match_in_any_order_without_a_word():
    match = match_classes(ClassMap((1, 2), ("a", "b")), ClassMap((2, 1), ("b", "a")), "net", "val.json")
    assert match.labels.tolist() == [1, 0]
    assert match.note is None


def test_other_ids_of_the_same_names_are_matched_by_name_and_said():
    match = match_classes(ClassMap((1, 2, 9), ("a", "b", "c")), ClassMap((0, 1, 9), ("a", "b", "c")), "net", "val.json")
    assert match.labels.tolist() == [0, 1, 2]
    assert "by name" in match.note and "a: 1 -> 0, b: 2 -> 1" in match.note and "c:" not in match.note


def test_disagreeing_classes_are_an_error_that_names_them():
    with pytest.raises(ConfigError) as error:
        match_classes(ClassMap((1, 2, 3), ("a", "b", "c")), ClassMap((1, 2, 4), ("a", "x", "d")), "net", "val.json")
    text = str(error.value)
    for part in ("2 is 'b' in the model and 'x' in the data", "only in the data: 4 'd'", "only in the model: 3 'c'"):
        assert part in text


def test_names_that_repeat_are_not_matched_by_name():
    with pytest.raises(ConfigError, match="disagree"):
        match_classes(ClassMap((1, 2), ("a", "a")), ClassMap((3, 4), ("a", "a")), "net", "val.json")
