"""Category id <-> label <-> name, for any layout of ids."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maskzoo.datasets.classes import ClassMap, join_classes, match_classes
from maskzoo.errors import ConfigError
from maskzoo.zoo.rows import read_row
from networks import MORE_OF_PADDLE, PADDLE

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


@pytest.mark.parametrize("row", [*PADDLE, *MORE_OF_PADDLE])
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


def test_classes_that_one_side_lacks_are_left_out_and_counted():
    model, data = ClassMap((1, 2, 3), ("a", "b", "c")), ClassMap((1, 2, 4), ("a", "x", "d"))
    match = match_classes(model, data, "net", "val.json", objects=[5, 1, 0])
    assert match.labels.tolist() == [0, -1, -1]
    assert match.note == (
        "2 classes of net left out, which val.json does not have: b, c; "
        "2 classes of val.json left out, which net does not know: x (1 object), d (0 objects)"
    )


@pytest.mark.parametrize(
    "theirs",
    [("Traffic Light", "Person"), ("traffic_light", "person "), ("TRAFFIC-LIGHT", "PERSON"), ("trafficLight", " person")],
)
def test_names_in_other_capitals_and_spaces_are_matched_and_said(theirs):
    model = ClassMap((1, 10), ("person", "traffic light"))
    match = match_classes(model, ClassMap((0, 1), theirs), "net", "val.json")
    assert match.labels.tolist() == [1, 0]
    assert f"{theirs[0]!r} for 'traffic light'" in match.note and f"{theirs[1]!r} for 'person'" in match.note


@pytest.mark.parametrize("name", ["Stra\u00dfe", "\u692d\u5706", "\u0645\u062b\u0644\u062b", "_", "-", " "])
def test_names_of_any_script_match_themselves(name):
    match = match_classes(ClassMap((1, 2), (name, "b")), ClassMap((5, 6), ("c", name)), "net", "val.json")
    assert match.labels.tolist() == [1, -1]
    assert "other capitals" not in match.note


def test_an_exact_name_goes_before_one_in_other_capitals():
    match = match_classes(ClassMap((1,), ("dog",)), ClassMap((1, 2), ("Dog", "dog")), "net", "val.json")
    assert match.labels.tolist() == [1]
    assert "left out" in match.note and "Dog" in match.note


def test_no_class_in_common_is_an_error_that_lists_both():
    with pytest.raises(ConfigError) as error:
        match_classes(ClassMap((1, 2), ("cat", "dog")), ClassMap((1, 2), ("Katze", "Hund")), "net", "val.json")
    for part in ("no class in common", "in the data: Katze, Hund", "in the model: cat, dog", "--classes map.yml"):
        assert part in str(error.value)


def test_a_name_that_the_data_have_again_under_another_id_is_not_left_out_in_silence():
    with pytest.raises(ConfigError, match=r"val.json has more than one class called 'dog'"):
        match_classes(ClassMap((1, 2), ("cat", "dog")), ClassMap((1, 2, 3), ("cat", "dog", "dog")), "net", "val.json")
    twice = ClassMap((1, 2), ("mouse", "mouse"))
    assert match_classes(twice, twice, "net", "val.json").labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("ours", "theirs"), [(("a", "a"), ("a", "a")), (("a", "b"), ("a", "a")), (("dog", "b"), ("Dog", "DOG"))], ids=str
)
def test_names_that_repeat_are_not_matched_by_name(ours, theirs):
    with pytest.raises(ConfigError, match="more than one class called"):
        match_classes(ClassMap((1, 2), ours), ClassMap((3, 4), theirs), "net", "val.json")


def test_equal_classes_match_even_where_names_repeat():
    classes = ClassMap((3, 4), ("a", "a"))
    assert match_classes(classes, classes, "net", "val.json").labels.tolist() == [0, 1]


def test_splits_of_the_same_classes_are_joined_without_a_word():
    train = ClassMap((1, 2), ("scratch", "dent"))
    assert join_classes(train, train, [3, 0]) == (train, None)
    assert join_classes(train, ClassMap((2, 1), ("scratch", "dent")), [3, 1]) == (train, None)


def test_a_class_that_val_lacks_is_added():
    train = ClassMap((1, 2), ("scratch", "dent"))
    joined, note = join_classes(train, ClassMap((1,), ("scratch",)), [1])
    assert joined == train and "val has no class dent" in note


def test_a_class_that_only_val_has_comes_last_with_an_id_of_its_own():
    train = ClassMap((5, 2), ("scratch", "dent"))
    joined, note = join_classes(train, ClassMap((1, 2, 5), ("scratch", "dent", "hole")), [1, 1, 2])
    assert joined == ClassMap((5, 2, 6), ("scratch", "dent", "hole")) and "cannot be learned" in note
    joined, note = join_classes(train, ClassMap((1, 7, 2), ("scratch", "shapes", "dent")), [1, 0, 1])
    assert joined == train and "shapes has no object" in note


@pytest.mark.parametrize(
    ("val", "said"),
    [
        (ClassMap((1, 2), ("scratch", "Delle")), "2 is 'dent' in train and 'Delle' in val"),
        (ClassMap((7, 8), ("Kratzer", "Delle")), "no class in common"),
        (ClassMap((1, 2, 3), ("scratch", "Scratch ", "SCRATCH")), "2 is 'dent' in train and 'Scratch ' in val"),
        (ClassMap((4, 5), ("scratch", "scratch")), "more than one class called 'scratch'"),
    ],
    ids=str,
)
def test_splits_whose_classes_are_ambiguous_are_refused(val, said):
    train = ClassMap((1, 2), ("scratch", "dent"))
    with pytest.raises(ConfigError, match=said):
        join_classes(train, val, [1] * len(val))
