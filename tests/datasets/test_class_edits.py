"""A class map renames, merges, drops and reorders classes, wherever it is given, and refuses what is not clear."""

import json
import os
import time

import numpy as np
import pytest

from coco_files import make_data
from maskzoo.datasets.class_edits import EditedClasses, is_class_map, read_class_edits
from maskzoo.datasets.classes import ClassMap
from maskzoo.datasets.coco_reader import pack_annotations
from maskzoo.errors import ArgumentError, ConfigError

STREET = [(1, "car"), (2, "truck"), (5, "Person"), (9, "cone")]


def resolve(text, tmp_path, *splits):
    (tmp_path / "map.yml").write_text(text, encoding="utf-8")
    return read_class_edits(tmp_path / "map.yml").resolve(*(splits or (STREET,)))


def test_classes_are_renamed_merged_dropped_and_reordered(tmp_path):
    edited = resolve("person: Person\nvehicle: [car, truck]\ndrop: [cone]\n", tmp_path)
    assert edited.classes == ClassMap((5, 1), ("person", "vehicle"))
    assert edited.labels == {"Person": 0, "car": 1, "truck": 1, "cone": -1}
    assert str(edited) == "2 classes: person from Person, vehicle from car + truck; left out: cone"
    assert EditedClasses.from_dict(json.loads(json.dumps(edited.to_dict())), edited.classes) == edited


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("truck:\nrest: keep\n", ("truck", "car", "Person", "cone")),
        ("truck: truck\ncar:\nrest: drop\n", ("truck", "car")),
        ("rest: keep\ndrop: cone\n", ("car", "truck", "Person")),
        ("car: truck\ntruck: car\nrest: drop\n", ("car", "truck")),
        ("人: Person\nrest: drop\n", ("人",)),
        ('\ufeffPerson:\n"1": [car, cone, truck]\n', ("Person", "1")),
    ],
)
def test_the_order_is_that_of_the_file_then_that_of_the_data(text, names, tmp_path):
    assert resolve(text, tmp_path).classes.names == names


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("vehicle: [car, trck]\nrest: keep\n", "no class is called 'trck'; did you mean truck"),
        ("vehicle: [car, truck]\n", "does not say what becomes of Person, cone"),
        ("car: vehicle\nrest: keep\n", "the new name stands first: `vehicle: car`"),
        ("a: car\nb: car\nrest: keep\n", "'car' goes to two places"),
        ("a: car\ndrop: [car]\nrest: keep\n", "'car' goes to two places"),
        ("car: truck\nrest: keep\n", "write `car: [car, truck]`"),
        ("drop: [car, truck, Person, cone]\n", "leaves no class"),
        ("drop: [zebra]\nrest: keep\n", "no class is called 'zebra'"),
        ("rest: all\n", "expected keep or drop"),
        ("1: car\n", "found 1 as the name of a class"),
        ("a: [true]\n", "found True as the name"),
        ("a: {b: c}\n", "as the name of a class"),
        ("a: []\n", "'a' has no old class"),
        ("a: car\na: truck\n", "given twice"),
        ("a: &x car\nb: *x\n", "aliases"),
        ("just words\n", "no mapping"),
        ("", "no mapping"),
        ("a: [car\n", "not valid YAML"),
    ],
)
def test_a_map_that_is_not_clear_is_refused_with_the_file_and_what_to_write(text, said, tmp_path):
    with pytest.raises(ConfigError) as error:
        resolve(text, tmp_path)
    assert said in str(error.value) and str(error.value).startswith(str(tmp_path / "map.yml"))


def test_a_map_of_very_many_names_is_read_at_once(tmp_path):
    (tmp_path / "map.yml").write_text("a:\n" + "".join(f"- n{number}\n" for number in range(40_000)))
    began = time.process_time()
    assert len(read_class_edits(tmp_path / "map.yml").sources["a"]) == 40_000
    assert time.process_time() - began < 5  # names compared with all before them took half a minute


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="makes a pipe")
def test_a_pipe_is_no_map(tmp_path):
    os.mkfifo(tmp_path / "map.yml")
    with pytest.raises(ConfigError, match=r"map\.yml: cannot be read as .* a pipe"):
        read_class_edits(tmp_path / "map.yml")


def test_what_is_no_map_is_refused(tmp_path):
    (tmp_path / "list.yml").write_text("- cat\n- dog\n")
    assert not is_class_map(tmp_path / "list.yml") and not is_class_map("cat,dog") and not is_class_map(["cat"])
    for given in ("cat,dog", tmp_path / "list.yml", tmp_path / "names.txt"):
        with pytest.raises(ArgumentError, match="expected a class map"):
            read_class_edits(given)
    with pytest.raises(ConfigError, match="no such file"):
        read_class_edits(tmp_path / "none.yml")
    (tmp_path / "latin.yml").write_bytes(b"caf\xe9: car\n")
    with pytest.raises(ConfigError, match="UTF-8"):
        read_class_edits(tmp_path / "latin.yml")


def test_splits_with_other_classes_and_ids_get_the_same_ones(tmp_path):
    splits = [(1, "car"), (2, "Person")], [(1, "truck"), (2, "car"), (7, "person")]
    edited = resolve("vehicle: [truck, car]\nperson: [person, Person]\n", tmp_path, *splits)
    assert edited.classes == ClassMap((1, 2), ("vehicle", "person"))
    edited = resolve("car:\ntruck:\nrest: drop\n", tmp_path, *splits)
    assert edited.classes == ClassMap((1, 8), ("car", "truck"))  # 1 is taken, so truck gets the first id above all


def test_a_packed_data_set_and_the_content_of_a_file_become_the_same():
    data = make_data(images=4, objects=6)
    annotations = pack_annotations(data, "val.json")
    edited = read_class_edits({"b": ["class 2", "class 0"], "drop": "class 1"}).resolve(annotations.classes.to_pairs())
    packed, content = edited.edit(annotations), edited.edit_content(data)
    other = pack_annotations(content, "val.json")
    assert packed.classes == other.classes == ClassMap((1,), ("b",)) and len(packed) == len(other) == 4
    for name in ("ids", "labels", "area", "image_index"):
        assert np.array_equal(getattr(packed, name), getattr(other, name))
    assert len(packed.ids) == sum(row["category_id"] != 2 for row in data["annotations"]) < len(annotations.ids)
    assert len(data["categories"]) == 3  # what was given stays as it is


def test_rows_without_a_class_stay_for_the_check_to_complain_of():
    data = {
        "categories": [{"id": "1", "name": "car"}, {"id": 3}, "row", {"id": 4, "name": "car"}],
        "annotations": [{"category_id": "1"}, {"category_id": 3}, {"category_id": [4]}, 7, {"category_id": 4}],
    }
    content = read_class_edits({"auto": "car"}).resolve([(None, "car"), (4, "car")]).edit_content(data)
    assert content["categories"] == [{"id": 4, "name": "auto"}, {"id": 3}, "row"]
    assert content["annotations"] == [{"category_id": 4}, {"category_id": 3}, {"category_id": [4]}, 7, {"category_id": 4}]


def test_the_content_keeps_what_else_a_file_says():
    data = make_data()
    data["categories"][0]["supercategory"] = "thing"
    edited = read_class_edits({"a": "class 0", "rest": "keep"}).resolve([(1, "class 0"), (2, "class 1"), (5, "class 2")])
    content = edited.edit_content(data | {"info": {"year": 1}})
    assert content["info"] == {"year": 1} and content["images"] == data["images"]
    assert content["categories"][0] == {"id": 1, "name": "a", "supercategory": "thing"}
