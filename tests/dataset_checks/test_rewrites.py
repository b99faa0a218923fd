"""What is only written otherwise is written as COCO has it, and what names it follows."""

import copy

import pytest

from maskzoo.dataset_checks.rewrites import rewrite_tables
from maskzoo.dataset_checks.run_rewrites import rewrite_runs
from truth_set import make_truth


def rewrite(content):
    """Return the content with its rewritten rows, and how often each change was made."""
    before = copy.deepcopy(content)
    changed, changes = rewrite_tables(content)
    assert content == before  # nothing is changed in place
    after = {table: [changed[table].get(place, row) for place, row in enumerate(rows)] for table, rows in content.items()}
    after = {table: [row for row in rows if row is not None] for table, rows in after.items()}
    again, more = rewrite_tables(after)
    assert not more and not any(again.values())  # what is rewritten stays
    return after, {str(change): count for change, count in changes.items()}


def test_a_sound_set_is_not_touched():
    assert rewrite(make_truth()) == (make_truth(), {})


@pytest.mark.parametrize(
    ("value", "flag"),
    [(None, 0), ("", 0), ("0", 0), ("false", 0), ("False", 0), ("no", 0), ("1", 1), ("true", 1), ("TRUE", 1), (" yes ", 1)],
)
@pytest.mark.parametrize("field", ["iscrowd", "ignore"])
def test_flags_are_read_as_tools_write_them(value, flag, field):
    content, expected = make_truth(), make_truth()
    for row in content["annotations"]:
        row[field] = value
    for row in expected["annotations"]:
        row[field] = flag
    assert rewrite(content) == (expected, {"iscrowd or ignore that is not 0 or 1: read as 0 or 1": 5})


@pytest.mark.parametrize("value", [False, True, 0, 1, 0.0, "some", 2, [], {}])
def test_flags_that_are_right_or_mean_nothing_stay(value):
    content = make_truth()
    content["annotations"][0]["iscrowd"] = value
    assert rewrite(content)[0] == content


@pytest.mark.parametrize(
    "ids",
    [
        ["3f2c", "a91b", "img_0003"],
        [2**64 + 1, 2**64 + 2, 2**64 + 3],
        [-1, -2, -3],
        [0.5, 1.5, 2.5],
        ["7", "8", "none"],
        [1, "1", 1.5],
        ["a b", "", "ü"],
        [5, 2**63, 2**63 - 1],
    ],
    ids=str,
)
@pytest.mark.parametrize("table", ["images", "categories"])
def test_ids_are_numbered_anew_and_objects_follow(ids, table):
    content, field = make_truth(), {"images": "image_id", "categories": "category_id"}[table]
    for row in content[table]:
        row["id"] = ids[row["id"] - 1]
    for row in content["annotations"]:
        row[field] = ids[row[field] - 1]
    after, _ = rewrite(content)
    names = {row["id"]: row["file_name" if table == "images" else "name"] for row in after[table]}
    assert len(names) == len(content[table]) and all(type(number) is int and 0 <= number < 2**63 for number in names)
    truth = {row["id"]: row["file_name" if table == "images" else "name"] for row in make_truth()[table]}
    assert [names[row[field]] for row in after["annotations"]] == [truth[row[field]] for row in make_truth()["annotations"]]


@pytest.mark.parametrize("write", [str, float, lambda number: f"{number:04d}"])
def test_numbers_written_otherwise_are_the_same_numbers(write):
    content = make_truth()
    for row in content["annotations"]:
        row |= {field: write(row[field]) for field in ("id", "image_id", "category_id")}
    for row in content["images"]:
        row |= {field: write(row[field]) for field in ("id", "width", "height")}
    assert rewrite(content)[0] == make_truth()


def test_a_number_keeps_its_id_before_a_text_of_the_same():
    content = make_truth()
    content["images"][0]["id"], content["images"][1]["id"] = "3", 2
    for row in content["annotations"]:
        row["image_id"] = {1: "3", 2: 2, 3: 3}[row["image_id"]]
    after, _ = rewrite(content)
    assert [row["id"] for row in after["images"]] == [4, 2, 3]
    assert [row["image_id"] for row in after["annotations"]] == [4, 4, 2, 2, 3]


@pytest.mark.parametrize("name", ["a1.jpg", "a1", "C:\\set\\a1.jpg", "https://x.org/set/a1.jpg?v=2"])
def test_an_image_is_found_by_its_name(name):
    content = make_truth()
    content["images"][0]["file_name"] = "photos/a1.jpg"
    for row in content["annotations"]:
        row["image_id"] = name if row["image_id"] == 1 else row["image_id"]
    after, changes = rewrite(content)
    assert [row["image_id"] for row in after["annotations"]] == [1, 1, 2, 2, 3]
    assert changes == {"object of an unknown image: found by its name": 2}
    content["images"][1]["file_name"] = "more/a1.jpg"  # then nobody knows
    assert rewrite(content)[0]["annotations"][0]["image_id"] == name


def test_ids_and_names_in_lists_of_one_and_names_that_are_numbers_are_read():
    content = make_truth()
    for row in content["annotations"]:
        row |= {"image_id": [row["image_id"]], "category_id": [row["category_id"]]}
    for row in content["images"]:
        row["file_name"] = [row["file_name"]]
    content["categories"][0]["name"] = 7
    after, changes = rewrite(content)
    assert (after["images"], after["annotations"]) == (make_truth()["images"], make_truth()["annotations"])
    assert after["categories"][0]["name"] == "7" and changes["category without a name: written as text"] == 1


def test_run_lengths_in_another_notation_are_written_as_coco_has_them():
    content, size = make_truth(), [120, 160]
    runs = {"size": size, "counts": [20 * 120 + 20, 60, 120 * 160 - 20 * 120 - 80]}
    for row in content["annotations"]:
        row["segmentation"] = [runs]
    changed = rewrite_runs(content, {})
    assert sorted(changed) == [*range(5)] and all(row["segmentation"] == runs for row in changed.values())
    for row in content["images"]:
        row |= {"width": 120, "height": 160}  # exchanged: the files say so
    assert rewrite_runs(content, dict.fromkeys(range(3), (120, 160))) == changed
    assert rewrite_runs(content, dict.fromkeys(range(3), (60, 80))).keys() == set()  # of smaller copies


@pytest.mark.parametrize("write", [lambda name: name, str.upper, lambda name: f" {name} "])
def test_a_class_is_found_by_its_name(write):
    content = make_truth()
    for row in content["annotations"]:
        row["category_id"] = write({1: "scratch", 2: "dent"}[row["category_id"]])
    after, changes = rewrite(content)
    assert after == make_truth() and changes == {"object of an unknown category: found by its name": 5}


@pytest.mark.parametrize("field", ["category_name", "attributes", "region_attributes", "label"])
def test_an_object_without_a_category_id_names_its_class_elsewhere(field):
    content = make_truth()
    for row in content["annotations"]:
        name = {1: "scratch", 2: "dent"}[row["category_id"]]
        row |= {"category_id": None, field: {"class": name, "note": "x"} if "attributes" in field else name}
    assert [row["category_id"] for row in rewrite(content)[0]["annotations"]] == [1, 2, 2, 1, 1]
    content["annotations"][0] |= {"label": "dent", "name": "scratch"}  # which one?
    assert rewrite(content)[0]["annotations"][0]["category_id"] is None


def test_categories_that_are_given_again_are_joined():
    content = make_truth()
    content["categories"] *= 3
    after, changes = rewrite(content)
    assert after == make_truth() and changes == {"category id given twice: category of the same name joined": 4}


def test_categories_of_one_name_are_joined_with_their_objects():
    content = make_truth()
    content["categories"] += [{"id": 7, "name": "dent"}, {"id": 8, "name": "scratch", "supercategory": "fault"}]
    content["annotations"][1]["category_id"], content["annotations"][3]["category_id"] = 7, 8
    after, changes = rewrite(content)
    assert after == make_truth() and changes["category name given twice: joined, with its objects"] == 2


def test_categories_of_one_name_in_two_groups_are_two():
    content = make_truth()
    content["categories"] = [
        {"id": 1, "name": "mouse", "supercategory": "animal"},
        {"id": 2, "name": "mouse", "supercategory": "device"},
    ]
    assert rewrite(content)[0] == content


def test_an_image_that_is_given_again_is_joined():
    content = make_truth()
    content["images"].append(content["images"][0] | {"date_captured": "today"})
    after, changes = rewrite(content)
    assert after == make_truth() and changes == {"image id given twice: image of the same file_name joined": 1}


def test_two_images_with_one_id_are_told_apart_by_their_objects():
    content = make_truth()
    content["images"][1] |= {"id": 1, "width": 100, "height": 200}
    content["annotations"][2]["segmentation"] = [[10, 150, 50, 150, 50, 190]]
    content["annotations"][3]["segmentation"] = {"size": [200, 100], "counts": [20000]}
    for row in content["annotations"][2:4]:
        row["image_id"] = 1
    for row in content["annotations"][:2]:
        row["segmentation"] = [[120, 10, 150, 10, 150, 60]]
    after, changes = rewrite(content)
    assert [row["id"] for row in after["images"]] == [1, 4, 3]
    assert [row["image_id"] for row in after["annotations"]] == [1, 1, 4, 4, 3]
    assert changes["image id given twice: new id, in its objects too"] == 1
    content["annotations"][0]["segmentation"] = [[10, 10, 30, 10, 30, 60]]  # it may be of either
    assert rewrite(content)[0] == content


@pytest.mark.parametrize("shape", ["flat", "pairs", "deep", "text"])
def test_outlines_are_nested_rightly(shape):
    content = make_truth()
    for row in content["annotations"]:
        (points,) = row["segmentation"]
        pairs = [points[place : place + 2] for place in range(0, len(points), 2)]
        row["segmentation"] = {"flat": points, "pairs": pairs, "deep": [[points]], "text": str([points])}[shape]
    after, changes = rewrite(content)
    assert after == make_truth() and changes == {"outline whose numbers are nested otherwise: nested as polygons": 5}


@pytest.mark.parametrize("field", ["file_name", "id", "name", "image_id", "category_id", "height"])
@pytest.mark.parametrize("value", [[], {}, [[1]], {"a": []}, None, float("nan"), 10**400, "\0", "\ud800", True])
def test_a_value_of_any_kind_is_left_or_rewritten(field, value):
    content = make_truth()
    for rows in content.values():
        for row in rows[:2]:
            if field in row:
                row[field] = value
    for row in content["images"][:1]:
        row["id"] = None
    rewrite_tables(content)
