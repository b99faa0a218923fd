"""A cleaned file has no error, keeps sound rows as they are, and every change is counted."""

import copy
import json
import re

import pytest

from faulty_data import FAULTY_OBJECTS, OTHER, SQUARE, make_faulty, make_object, make_sound, rewrite
from maskzoo.dataset_checks.fix import fix_splits
from maskzoo.dataset_checks.split_checks import check_splits
from maskzoo.datasets.coco_reader import read_annotations


@pytest.fixture(scope="module")
def cleaned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faulty")
    file, data, numbers = make_faulty(folder)
    before = file.read_bytes()
    after, fixed = fix({"train": file})["train"]
    assert file.read_bytes() == before
    return after, fixed, data, numbers


def fix(splits):
    """Return the content and the report of each split's cleaned file."""
    report, contents = check_splits(splits)
    files = {split: file.with_name(f"cleaned-{split}.json") for split, file in splits.items()}
    fixed, _ = fix_splits(report, contents, files)
    return {split: (json.loads(files[split].read_text()), one) for split, one in fixed.items()}


def words(fixed):
    return {str(change): count for change, count in fixed.changes.items()}


def by_id(rows):
    return {row["id"]: row for row in rows}


def clean(file, data):
    after, fixed = fix({"train": rewrite(file, data)})["train"]
    return after, words(fixed)


def test_a_cleaned_file_with_every_kind_of_fault_passes_without_an_error(cleaned):
    after, fixed, _, _ = cleaned
    report, _ = check_splits({"train": fixed.file}, images=fixed.file.parent / "train")
    assert report.errors == 0 and fixed.left == ()
    assert len(read_annotations(fixed.file)) == len(after["images"])


@pytest.mark.parametrize("kind", FAULTY_OBJECTS)
def test_an_object_is_repaired_kept_or_dropped(cleaned, kind):
    after, _, data, numbers = cleaned
    rows, fate = by_id(after["annotations"]), FAULTY_OBJECTS[kind][1]
    if kind == "bad-id":
        before = next(row for row in data["annotations"] if row["id"] == "seven")
        (row,) = (row for row in rows.values() if row["bbox"] == before["bbox"])
        assert {**row, "id": "seven"} == before and type(row["id"]) is int
        return
    before = next(row for row in data["annotations"] if row["id"] == numbers[kind])
    row = rows.get(numbers[kind])
    assert {None: "dropped", True: "kept", False: "repaired"}[row and row == before] == fate


def test_rows_without_a_fault_stay_as_they_are_in_their_order(cleaned):
    after, _, data, _ = cleaned
    sound = [row for row in data["annotations"] if type(row["id"]) is int and row["id"] < 130 and row["id"] != 10]
    sound = [row for row in sound if row["image_id"] not in (2, 3, 7, 11)]
    kept = [row for row in after["annotations"] if row["id"] < 130 and row["id"] != 10]
    assert json.dumps(kept) == json.dumps(sound) and len(sound) == 15
    assert after["info"] == data["info"] and list(after) == list(data)
    assert [row["id"] for row in after["images"]] == [1, 4, 5, 6, 8, 9, 10, 12, 50]


def test_repairs_are_the_outlines_numbers(cleaned):
    after, _, _, numbers = cleaned
    rows = {kind: by_id(after["annotations"]).get(number) for kind, number in numbers.items()}
    assert rows["bad-box"]["bbox"] == pytest.approx([10, 10, 20.4, 16])
    assert rows["bad-area"]["area"] == pytest.approx(20.3 * 16)
    assert rows["box-outside"]["bbox"] == pytest.approx([10, 10, 20.6, 16])
    assert rows["box-over-edge"]["bbox"] == [61, 10, 19, 16]
    outlines = [rows[kind]["segmentation"] for kind in ("bad-polygon", "polygon-without-area")]
    assert outlines == [[SQUARE], [OTHER]]
    images = by_id(after["images"])
    sizes = [(images[number]["width"], images[number]["height"]) for number in (4, 5, 6, 12)]
    assert sizes == [(70, 50), (60, 80), (80, 60), (80, 60)] and images[9]["file_name"] == "9.png"
    assert rows["bad-nesting"]["segmentation"] == [[10, 10, 32, 10, 32, 26, 10, 26]] and rows["id-as-text"]["image_id"] == 1
    assert [row["name"] for row in after["categories"]] == ["cat", "dog", "category 4"]


def test_ids_given_twice_are_new_and_no_object_is_lost(cleaned):
    after = cleaned[0]
    ids = [row["id"] for row in after["annotations"]]
    assert len(ids) == len(set(ids)) and ids.count(10) == 1
    assert any(row["bbox"] == [35, 10, 20, 16] and row["image_id"] == 1 for row in after["annotations"])


def test_every_change_is_counted(cleaned):
    after, fixed, data, _ = cleaned
    changes = words(fixed)
    lost = len(data["annotations"]) - len(after["annotations"])
    endings = ("object dropped", "object of it dropped")
    assert sum(count for change, count in changes.items() if change.endswith(endings)) == lost
    assert changes["image id given twice: image dropped with its objects"] == 2
    assert changes["image that was dropped: object of it dropped"] == 8
    assert changes["image id given twice: image of the same file_name joined"] == 1
    assert changes["annotation id given twice: new id"] == 1
    assert changes["image whose size was noted before its EXIF rotation: size turned"] == 1


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
    report, _ = check_splits({"train": rewrite(file, data)})
    (problem,) = [problem for problem in report.problems if problem.code == "bad-id"]
    assert (problem.found, problem.describe_found()) == ("1 again", "'1 again'")
    assert clean(file, data)[0][table] == [
        data[table][0] | {"id": {"images": 7, "annotations": 62, "categories": 3}[table]},
        *data[table][1:],
    ]


def test_a_copy_of_a_row_is_dropped_where_ids_say_which_it_is(tmp_path):
    file, data = make_sound(tmp_path)
    expected = copy.deepcopy(data)
    for table in ("images", "annotations", "categories"):
        data[table].append(copy.deepcopy(data[table][0]))
    after, changes = clean(file, data)
    assert after == expected and sum(changes.values()) == 3


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
    fixed = fix({"train": train, "val": rewrite(val, data)})
    assert fixed["train"][0]["categories"][-1] == {"id": 9, "name": "cow"}
    assert fixed["train"][1].left == fixed["val"][1].left == ()


def test_categories_that_are_only_numbered_otherwise_are_not_doubled(tmp_path):
    train, _ = make_sound(tmp_path, "train")
    val, data = make_sound(tmp_path, "val", first=50)
    for row in data["categories"]:
        row["id"] += 10
    for row in data["annotations"]:
        row["category_id"] += 10
    fixed = fix({"train": train, "val": rewrite(val, data)})
    assert fixed["val"][0] == data and not fixed["val"][1].left and not fixed["train"][1].changes


def test_names_that_disagree_are_left_to_the_person(tmp_path):
    train, _ = make_sound(tmp_path, "train")
    val, data = make_sound(tmp_path, "val", first=50)
    data["categories"][1]["name"] = "cow"
    after, fixed = fix({"train": train, "val": rewrite(val, data)})["val"]
    (problem,) = fixed.left
    assert (problem.code, problem.found) == ("classes-differ", "cow")
    assert after == data


def test_names_that_are_only_spelt_otherwise_are_written_as_in_train(tmp_path):
    train, sound = make_sound(tmp_path, "train")
    val, data = make_sound(tmp_path, "val", first=50)
    data["categories"][0]["name"], data["categories"][1]["name"] = "Cat ", "DOG"
    after, fixed = fix({"train": train, "val": rewrite(val, data)})["val"]
    assert not fixed.left and after["categories"] == sound["categories"] and after["annotations"] == data["annotations"]


@pytest.mark.parametrize("table", ["images", "annotations", "categories"])
def test_where_nothing_would_be_left_nothing_is_written_and_that_is_said(tmp_path, table):
    file, data = make_sound(tmp_path)
    for row in data[table]:
        row["file_name" if table == "images" else "id" if table == "categories" else "segmentation"] = None
    for reason in (f"nothing would be left of .*{table}", f"{table} missing, empty or no list"):
        report, contents = check_splits({"train": rewrite(file, data)})
        fixed, after = fix_splits(report, contents, {"train": tmp_path / "cleaned.json"})
        assert after is None and re.match(reason, fixed["train"].reason) and not (tmp_path / "cleaned.json").exists()
        assert report.errors
        data[table] = None
