"""Every fault of a data set is found, once, with its row and field; a sound one has none."""

import copy
import json
import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from coco_files import make_data, write
from faulty_data import FAULTY_OBJECTS, FAULTY_SPLITS, FAULTY_TABLES, make_faulty, make_object, make_sound, rewrite
from maskzoo.dataset_checks.codes import CODES, choose_worst
from maskzoo.dataset_checks.fix import fix_splits
from maskzoo.dataset_checks.split_checks import check_annotations, check_splits
from maskzoo.datasets.coco_reader import pack_annotations
from maskzoo.errors import AnnotationsError, ConfigError, MaskzooError
from shared_data import need_shared


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    file, data, numbers = make_faulty(tmp_path_factory.mktemp("faulty"))
    return check({"train": file}), data, numbers


def check(splits, **options):
    return check_splits(splits, **options)[0]


def find(report, code):
    return [problem for problem in report.problems if problem.code == code]


def test_a_sound_data_set_has_no_problem(tmp_path):
    files = {split: make_sound(tmp_path, split, first=first)[0] for split, first in (("train", 0), ("val", 50))}
    report = check(files)
    assert report.problems == ()
    facts = report.splits["val"]
    assert (facts.folder, facts.images, facts.objects, facts.categories) == (tmp_path / "val", 6, 12, 2)


@pytest.mark.parametrize("kind", FAULTY_OBJECTS)
def test_a_fault_of_an_object_is_found_with_its_id(faulty, kind):
    report, data, numbers = faulty
    named = {problem.row for problem in find(report, kind)}
    assert all(data["annotations"][problem.place].get("id") in (problem.row, "seven") for problem in find(report, kind))
    if kind == "bad-id":
        (problem,) = find(report, kind)
        assert problem.name_row() == f"annotation at place {problem.place}" and problem.found == "seven"
    else:
        assert numbers[kind] in named
        expected = {"outline-outside": {51}, "box-outside": {51}, "box-elsewhere": {1012}, "area-differs": {1012}}
        assert named - {numbers[kind]} <= expected.get(kind, {1018})  # what is a consequence of another fault


@pytest.mark.parametrize("kind", sorted(FAULTY_TABLES))
def test_a_fault_of_an_image_category_or_row_is_found(faulty, kind):
    assert find(faulty[0], kind)


def test_no_code_is_left_untested():
    apart = {
        "unreadable-file",
        "bad-table",
        "odd-table",
        "no-images-folder",
        "nothing-to-learn",
        "classes-renumbered",
        "classes-joined",
        "classes-spelt",
        "outside-image",
    } | FAULTY_SPLITS
    assert set(FAULTY_OBJECTS) | FAULTY_TABLES | apart | {"bad-score"} == set(CODES)  # that one is of results


def test_the_report_says_what_was_found_and_expected_and_where(faulty):
    report = faulty[0]
    (size,) = find(report, "size-rotated")
    assert (size.table, size.row, size.field, size.found.values) == ("images", 5, "width x height", (80, 60))
    assert str(size).endswith(
        "image 5: width x height: found 80 x 60; expected 60 x 80, which is its size once its EXIF "
        "orientation is applied, as maskzoo does"
    )
    (runs,) = find(report, "bad-runs")
    assert (runs.field, runs.image) == ("segmentation.counts", 1)
    (extra,) = find(report, "unnamed-image")
    assert extra.describe_found().startswith("2 in ") and CODES[extra.code].severity == "notice"
    severities = [CODES[problem.code].severity for problem in report.problems]
    assert severities == sorted(severities, key=["error", "warning", "notice"].index)
    printed = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert printed["errors"] == report.errors == severities.count("error") > 20
    assert printed["counts"]["crowd"] == 2
    keys = {"severity", "code", "split", "file", "table", "row", "place", "field", "found", "expected", "image_id", "advice"}
    assert keys <= printed["problems"][0].keys()


def test_a_fault_does_not_hide_those_of_other_rows(tmp_path):
    file, data = make_sound(tmp_path)
    data["annotations"][0]["area"] = None
    data["annotations"][5]["bbox"] = [10, 10, 120, 16]
    data["images"][5]["width"] = "wide"
    data["categories"][0]["name"] = None
    report = check({"train": rewrite(file, data)})
    assert report.count() == {"bad-category-name": 1, "bad-size": 1, "bad-area": 1, "box-outside": 1}
    assert find(report, "box-outside")[0].row == 31


def test_images_of_two_splits_are_compared(tmp_path):
    train, _ = make_sound(tmp_path, "train")
    val, data = make_sound(tmp_path, "val", first=50)
    shutil.copy(tmp_path / "train" / "1.png", tmp_path / "val" / "51.png")
    with Image.open(tmp_path / "train" / "2.png") as image:
        image.save(tmp_path / "val" / "52.jpg", quality=80)
    data["images"][1]["file_name"] = "52.jpg"
    (tmp_path / "val" / "52.png").unlink()
    files = {"train": train, "val": rewrite(val, data)}
    report = check(files)
    assert report.count() == {"same-image-across": 1, "near-duplicate": 1}
    same, near = report.problems
    assert (same.split, same.image, same.like) == ("val", 51, ("train", 1))
    assert (near.split, near.image, near.like) == ("val", 52, ("train", 2))
    assert check(files, duplicates=False).problems == ()


def test_classes_that_disagree_are_errors_and_other_numbers_a_warning(tmp_path):
    train, _ = make_sound(tmp_path, "train")
    val, data = make_sound(tmp_path, "val", first=50)
    data["categories"][1]["name"] = "Hund"
    data["categories"].append({"id": 9, "name": "cow"})
    data["annotations"].append(make_object(900, 51, x=30, category_id=9))
    report = check({"train": train, "val": rewrite(val, data)})
    assert [(p.code, p.name_row(), p.found) for p in report.problems] == [
        ("classes-differ", "category 2", "Hund"),
        ("classes-differ", "category 9", "cow"),
    ]
    data["categories"] = [{"id": 1, "name": "dog"}, {"id": 2, "name": "cat"}]
    data["annotations"].pop()
    assert check({"train": train, "val": rewrite(val, data)}).count() == {"classes-renumbered": 1}


def test_a_class_that_is_only_spelt_otherwise_is_a_warning_for_training_takes_it(tmp_path):
    train, _ = make_sound(tmp_path, "train")
    val, data = make_sound(tmp_path, "val", first=50)
    data["categories"][1]["name"] = " Dog"
    report = check({"train": train, "val": rewrite(val, data)})
    assert [(p.code, p.name_row(), p.found) for p in report.problems] == [("classes-spelt", "category 2", " Dog")]
    assert not report.errors


def test_a_class_that_one_split_lacks_is_a_warning_for_training_adds_it(tmp_path):
    train, _ = make_sound(tmp_path, "train")
    val, data = make_sound(tmp_path, "val", first=50)
    data["categories"] = [{"id": 1, "name": data["categories"][1]["name"]}]  # numbered by another tool
    for row in data["annotations"]:
        row["category_id"] = 1
    files = {"train": train, "val": rewrite(val, data)}
    report = check(files)
    assert [(p.code, p.row, str(p.found)) for p in report.problems] == [("classes-joined", 1, "no such category")]
    data["categories"].append({"id": 4, "name": "cow"})
    data["annotations"][0]["category_id"] = 4
    rewrite(val, data)
    assert check(files).count() == {"classes-joined": 2}
    data["categories"][1]["id"] = data["annotations"][0]["category_id"] = 2  # of a class that val has under another id
    rewrite(val, data)
    assert check(files).count() == {"classes-joined": 2}
    data["categories"][0]["name"] = "calf"
    rewrite(val, data)
    assert set(check(files).count()) == {"classes-differ"}


def test_images_that_are_nowhere_are_one_error_and_the_rest_is_checked(tmp_path):
    file, data = make_sound(tmp_path)
    shutil.rmtree(tmp_path / "train")
    data["annotations"][0]["area"] = None
    report = check({"train": rewrite(file, data)})
    assert report.count() == {"no-images-folder": 1, "bad-area": 1}
    assert report.splits["train"].folder is None


def test_a_split_without_an_object_that_trains_is_an_error(tmp_path):
    train, _ = make_sound(tmp_path)
    file, data = make_sound(tmp_path, "val", first=50)
    for row in data["annotations"]:
        row["area"] = 0
    report = check({"train": train, "val": rewrite(file, data)})
    (problem,) = [problem for problem in report.problems if CODES[problem.code].severity == "error"]
    assert (problem.code, problem.split) == ("nothing-to-learn", "val")
    assert problem.describe_found() == "12 annotations, none that trains"
    for table in ("images", "annotations"):
        data[table] = []
    assert check({"val": rewrite(file, data)}).errors == 1


def test_a_given_folder_is_used_or_that_of_the_split_in_it(tmp_path):
    make_sound(tmp_path / "data", "train")
    make_sound(tmp_path / "data", "val", first=50)
    for split in ("train", "val"):
        (tmp_path / f"{split}.json").write_text((tmp_path / "data" / f"{split}.json").read_text())
    files = {split: tmp_path / f"{split}.json" for split in ("train", "val")}
    report = check(files, images=tmp_path / "data")
    assert report.problems == () and report.splits["val"].folder == tmp_path / "data" / "val"
    assert check({"val": files["val"]}, images=tmp_path / "data" / "val").problems == ()
    assert check({"val": files["val"]}, images=tmp_path / "data" / "train").count()["missing-image"] == 6
    with pytest.raises(ConfigError, match=r"nowhere: no such folder.*--images"):
        check(files, images=tmp_path / "nowhere")


def test_a_name_that_differs_in_capital_letters_is_told(tmp_path):
    file, _ = make_sound(tmp_path)
    (tmp_path / "train" / "3.png").rename(tmp_path / "train" / "3.PNG")
    (problem,) = find(check({"train": file}), "misnamed-image")
    assert str(problem.expected) == "'3.PNG', the one file that fits: the capitals differ"


def test_a_name_too_long_for_the_system_is_a_missing_image(tmp_path):
    file, data = make_sound(tmp_path)
    data["images"][0]["file_name"] = "a" * 5000
    report = check({"train": rewrite(file, data)}, images=tmp_path / "train")
    assert report.count() == {"missing-image": 1, "unnamed-image": 1}


def test_only_a_split_that_cannot_be_read_is_left_out(tmp_path):
    train, _ = make_sound(tmp_path)
    broken = tmp_path / "val.json"
    broken.write_text('{"images": [')
    report = check({"train": train, "val": broken})
    assert report.count() == {"unreadable-file": 1} and list(report.splits) == ["train"]
    for content in ('{"images": [', "[]", '{"a": 1}', "3"):
        broken.write_text(content)
        with pytest.raises(AnnotationsError, match=r"val\.json: file: found .*expected"):
            check({"val": broken})


def test_a_missing_list_is_an_error_and_the_rest_is_checked(tmp_path):
    file, data = make_sound(tmp_path)
    del data["categories"]
    data["annotations"][0]["bbox"] = [10, 10, 120, 16]
    (tmp_path / "train" / "3.png").unlink()
    report = check({"train": rewrite(file, data)})
    assert report.count() == {"bad-table": 1, "missing-image": 1, "box-outside": 1}


def test_progress_counts_every_image(tmp_path):
    seen = []
    check({"train": make_sound(tmp_path)[0]}, on_progress=seen.append)
    reading = [event for event in seen if event.stage == "Reading images"]
    assert [(event.done, event.total, event.unit) for event in reading] == [(n, 6, "images") for n in range(1, 7)]


def test_real_annotations_have_only_what_is_known_of_them():
    folder = need_shared("data", "coco", "annotations")
    for name in ("train2017", "val2017"):
        data = json.loads((folder / f"instances_{name}.json").read_text())
        problems, _ = check_annotations(data, name, "train")
        assert {p.code for p in problems} <= {"crowd", "image-without-objects", "category-without-objects"}
        assert sum(p.code == "crowd" for p in problems) == sum(row["iscrowd"] for row in data["annotations"])


def test_the_worst_are_chosen_kind_by_kind(faulty):
    worst = choose_worst(faulty[0].problems, 5, 1)
    assert len({problem.code for problem in worst}) == 5
    assert {CODES[problem.code].severity for problem in worst} == {"error"}
    assert len(choose_worst(faulty[0].problems, 10_000, 10_000)) == len(faulty[0].problems)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


def list_places(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from list_places(inner, (*path, key))


SOUND = make_data(images=2, objects=4)
PLACES = [path for path in list_places(SOUND) if path]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(PLACES), JSON | st.just(...)), min_size=1, max_size=4))
def test_whatever_a_file_holds_is_a_problem_or_an_error_of_ours_and_a_cleaned_file_is_sound(tmp_path, changes):
    data = copy.deepcopy(SOUND)
    for path, value in changes:
        _spoil(data, path, value)
    file = write(tmp_path / "train.json", data)
    try:
        report, contents = check_splits({"train": file})
        fixed, after = fix_splits(report, contents, {"train": tmp_path / "cleaned.json"})
    except MaskzooError as error:
        assert "train.json" in str(error)
        return
    assert (after is None) == bool(fixed["train"].reason)
    if after is None:
        return
    cleaned = json.loads((tmp_path / "cleaned.json").read_text())
    pack_annotations(cleaned, "cleaned.json")
    faults = check_annotations(cleaned, "cleaned.json", "train")[0]
    assert [fault for fault in faults if CODES[fault.code].severity == "error"] == []
    json.dumps(report.to_dict(), allow_nan=False)


def _spoil(data, path, value):
    """Replace a value, or remove it for `...`; a place that an earlier change took away stays away."""
    for key in path[:-1]:
        data = data[key] if _has(data, key) else None
    if _has(data, path[-1]):
        if value is ...:
            del data[path[-1]]
        else:
            data[path[-1]] = value


def _has(data, key):
    return key in data if isinstance(data, dict) else isinstance(data, list) and isinstance(key, int) and key < len(data)


def test_an_outline_of_run_lengths_is_measured(tmp_path):
    file, data = make_sound(tmp_path)
    mask = np.zeros((60, 80), int)
    mask[10:26, 10:30] = 1
    changes = np.flatnonzero(np.diff(mask.T.ravel(), prepend=0, append=0))
    counts = np.diff([0, *changes, 4800]).tolist()
    data["annotations"][0]["segmentation"] = {"size": [60, 80], "counts": counts}
    assert check({"train": rewrite(file, data)}).problems == ()
    data["annotations"][0] |= {"bbox": [50, 40, 10, 10], "area": 5}
    assert check({"train": rewrite(file, data)}).count() == {"box-elsewhere": 1, "area-differs": 1}


def test_an_image_outside_of_the_data_set_is_an_error_and_dropped_unless_its_folder_is_named(tmp_path):
    file, data = make_sound(tmp_path / "set")
    (tmp_path / "other").mkdir()
    (tmp_path / "set/train/6.png").rename(tmp_path / "other/own.png")
    data["images"][5]["file_name"] = "../../other/own.png"
    rewrite(file, data)
    report, contents = check_splits({"train": file})
    (problem,) = find(report, "outside-image")
    assert problem.image == 6 and str(tmp_path / "other/own.png") in str(problem.found) and "--images" in str(problem)
    fixed, after = fix_splits(report, contents, {"train": tmp_path / "fixed.json"})
    assert fixed["train"].left == () and after.splits["train"].images == 5
    assert find(check({"train": file}, images=tmp_path), "outside-image") == []
