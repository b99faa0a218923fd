"""A cleaned file has no error, keeps sound rows as they are, and every change is counted."""

import copy
import json

import pytest

from faulty_data import FAULTY_OBJECTS, SQUARE, make_faulty, make_object, make_sound, rewrite
from maskzoo.data.checking import check_data
from maskzoo.data.coco import read_annotations
from maskzoo.data.fixing import fix_data
from maskzoo.data.writing import encode_json
from maskzoo.errors import MaskzooError


@pytest.fixture(scope="module")
def cleaned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faulty")
    file, data, numbers = make_faulty(folder)
    before = file.read_bytes()
    fixed = fix_data(check_data({"train": file}))["train"]
    assert file.read_bytes() == before
    (folder / "cleaned.json").write_bytes(encode_json(fixed.data, file))
    return folder / "cleaned.json", fixed, data, numbers


def by_id(rows):
    return {row["id"]: row for row in rows}


def clean(file, data):
    fixed = fix_data(check_data({"train": rewrite(file, data)}))["train"]
    return fixed.data, fixed.changes


def test_a_cleaned_file_with_every_kind_of_fault_passes_without_an_error(cleaned):
    file, fixed, _, _ = cleaned
    report = check_data({"train": file}, images=file.parent / "train")
    assert report.errors == 0 and fixed.left == ()
    assert len(read_annotations(file)) == len(fixed.data["images"])


@pytest.mark.parametrize("kind", FAULTY_OBJECTS)
def test_an_object_is_repaired_kept_or_dropped(cleaned, kind):
    _, fixed, data, numbers = cleaned
    rows, fate = by_id(fixed.data["annotations"]), FAULTY_OBJECTS[kind][1]
    if kind == "bad-id":
        before = next(row for row in data["annotations"] if row["id"] == "seven")
        (row,) = (row for row in rows.values() if row["bbox"] == before["bbox"])
        assert {**row, "id": "seven"} == before and type(row["id"]) is int
        return
    before = next(row for row in data["annotations"] if row["id"] == numbers[kind])
    after = rows.get(numbers[kind])
    assert {None: "dropped", True: "kept", False: "repaired"}[after and after == before] == fate


def test_rows_without_a_fault_stay_as_they_are_in_their_order(cleaned):
    _, fixed, data, _ = cleaned
    sound = [row for row in data["annotations"] if type(row["id"]) is int and row["id"] < 130 and row["id"] != 10]
    sound = [row for row in sound if row["image_id"] in (1, 5, 8, 9, 10, 11)]
    kept = [row for row in fixed.data["annotations"] if row["id"] < 130 and row["id"] != 10]
    assert json.dumps(kept) == json.dumps(sound) and len(sound) == 11
    assert fixed.data["info"] == data["info"] and list(fixed.data) == list(data)
    assert [row["id"] for row in fixed.data["images"]] == [1, 5, 8, 9, 10, 11, 50]


def test_repairs_are_the_outlines_numbers(cleaned):
    _, fixed, _, numbers = cleaned
    rows = {kind: by_id(fixed.data["annotations"]).get(number) for kind, number in numbers.items()}
    assert rows["bad-box"]["bbox"] == pytest.approx([10, 10, 20.4, 16])
    assert rows["bad-area"]["area"] == pytest.approx(20.3 * 16)
    assert rows["box-outside"]["bbox"] == [10, 10, 70, 16]
    assert rows["box-over-edge"]["bbox"] == [61, 10, 19, 16]
    assert rows["bad-polygon"]["segmentation"] == rows["polygon-without-area"]["segmentation"] == [SQUARE]
    images = by_id(fixed.data["images"])
    assert (images[5]["width"], images[5]["height"]) == (60, 80)
    assert [row["name"] for row in fixed.data["categories"]] == ["cat", "dog", "dog", "category 4"]


def test_ids_given_twice_are_new_and_no_object_is_lost(cleaned):
    fixed = cleaned[1]
    ids = [row["id"] for row in fixed.data["annotations"]]
    assert len(ids) == len(set(ids)) and ids.count(10) == 1
    assert any(row["bbox"] == [35, 10, 20, 16] and row["image_id"] == 1 for row in fixed.data["annotations"])


def test_every_change_is_counted(cleaned):
    _, fixed, data, _ = cleaned
    lost = len(data["annotations"]) - len(fixed.data["annotations"])
    endings = ("object dropped", "object of it dropped")
    assert sum(count for change, count in fixed.changes.items() if change.endswith(endings)) == lost
    assert fixed.changes["image id given twice: image dropped with its objects"] == 2
    assert fixed.changes["image that was dropped: object of it dropped"] == 12
    assert fixed.changes["annotation id given twice: new id"] == 1
    assert fixed.changes["image whose size was noted before its EXIF rotation: size turned"] == 1


def test_a_sound_file_is_not_changed(tmp_path):
    file, data = make_sound(tmp_path)
    after, changes = clean(file, data)
    assert after == data and not changes


def test_an_image_that_was_drawn_before_its_rotation_is_dropped(tmp_path):
    file, data, _ = make_faulty(tmp_path)
    data["annotations"][9] = make_object(51, 5, x=65, width=14)  # fits 80 x 60 only
    after, changes = clean(file, data)
    assert 5 not in by_id(after["images"])
    assert changes["image whose size was noted before its EXIF rotation: image dropped with its objects"] == 1


def test_several_faults_of_one_row_are_all_repaired(tmp_path):
    file, data = make_sound(tmp_path)
    data["annotations"][0] |= {
        "bbox": None, "area": "big", "segmentation": [[1, 2], [70, 10, 100, 10, 100, 20, 70, 20], [float("inf")] * 6]
    }  # fmt: skip
    after, _ = clean(file, data)
    assert after["annotations"][0]["segmentation"] == [[70, 10, 100, 10, 100, 20, 70, 20]]
    assert (after["annotations"][0]["bbox"], after["annotations"][0]["area"]) == ([70, 10, 10, 10], 300)
    assert after["annotations"][1:] == data["annotations"][1:]


def test_whole_numbers_written_otherwise_are_rewritten_and_nothing_is_dropped(tmp_path):
    file, expected = make_sound(tmp_path)
    data = copy.deepcopy(expected)
    for row in data["images"]:
        row |= {"id": f"{row['id']:04d}", "width": float(row["width"]), "height": str(row["height"])}
    for row in data["annotations"]:
        row |= {"id": float(row["id"]), "image_id": str(row["image_id"]), "iscrowd": "0"}
    for row in data["categories"]:
        row["id"] = str(row["id"])
    after, changes = clean(file, data)
    assert after == expected and json.dumps(after) == json.dumps(expected)
    assert changes["object with a whole number written as text or with a point: rewritten"] == 12


@pytest.mark.parametrize("table", ["images", "annotations", "categories"])
def test_an_id_that_reads_like_our_own_words_is_no_whole_number(tmp_path, table):
    file, data = make_sound(tmp_path)
    data[table][0]["id"] = "1 again"
    report = check_data({"train": rewrite(file, data)})
    (problem,) = [problem for problem in report.problems if problem.kind == "bad-id"]
    assert problem.found == "'1 again'"
    after = fix_data(report)["train"].data[table]
    assert after[1:] == data[table][1:] if table == "annotations" else after == data[table][1:]


def test_a_copy_of_a_row_is_dropped_where_ids_say_which_it_is(tmp_path):
    file, data = make_sound(tmp_path)
    expected = copy.deepcopy(data)
    for table in ("images", "annotations", "categories"):
        data[table].append(copy.deepcopy(data[table][0]))
    after, changes = clean(file, data)
    assert after == expected and changes.total() == 3


def test_categories_with_one_id_and_two_names_are_dropped_with_their_objects(tmp_path):
    file, data = make_sound(tmp_path)
    data["categories"].append({"id": 2, "name": "horse"})
    after, _ = clean(file, data)
    assert [row["name"] for row in after["categories"]] == ["cat"]
    assert {row["category_id"] for row in after["annotations"]} == {1}


def test_a_category_of_one_split_only_is_added_to_the_other(tmp_path):
    train, _ = make_sound(tmp_path, "train")
    val, data = make_sound(tmp_path, "val", first=50)
    data["categories"].append({"id": 9, "name": "cow"})
    data["annotations"].append(make_object(900, 51, x=30, category_id=9))
    fixed = fix_data(check_data({"train": train, "val": rewrite(val, data)}))
    assert fixed["train"].data["categories"][-1] == {"id": 9, "name": "cow"}
    assert fixed["train"].left == fixed["val"].left == ()


def test_categories_that_are_only_numbered_otherwise_are_not_doubled(tmp_path):
    train, _ = make_sound(tmp_path, "train")
    val, data = make_sound(tmp_path, "val", first=50)
    for row in data["categories"]:
        row["id"] += 10
    for row in data["annotations"]:
        row["category_id"] += 10
    fixed = fix_data(check_data({"train": train, "val": rewrite(val, data)}))
    assert fixed["val"].data == data and not fixed["val"].left and not fixed["train"].changes


def test_names_that_disagree_are_left_to_the_person(tmp_path):
    train, _ = make_sound(tmp_path, "train")
    val, data = make_sound(tmp_path, "val", first=50)
    data["categories"][1]["name"] = "Dog"
    fixed = fix_data(check_data({"train": train, "val": rewrite(val, data)}))
    (problem,) = fixed["val"].left
    assert (problem.kind, problem.found) == ("classes-differ", "Dog")
    assert fixed["val"].data == data


@pytest.mark.parametrize("table", ["images", "annotations", "categories"])
def test_where_nothing_would_be_left_there_is_an_error(tmp_path, table):
    file, data = make_sound(tmp_path)
    for row in data[table]:
        row["id" if table == "categories" else "height" if table == "images" else "segmentation"] = None
    with pytest.raises(MaskzooError, match=r"train\.json: nothing would be left"):
        clean(file, data)
    data[table] = None
    with pytest.raises(MaskzooError, match=rf"train\.json: {table} is missing"):
        clean(file, data)
