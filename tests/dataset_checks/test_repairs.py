"""Sets as several tools and people leave them: `--fix` saves all of them, and the cleaned file is sound with its images."""

import copy
import json
import shutil
import unicodedata

import pytest
from PIL import Image

import maskzoo
from truth_set import HEIGHT, NAMES, WIDTH, list_truth, make_truth, read_objects, write_truth


def fix(folder, **options):
    """Clean a set; return the cleaned content (None if there is none) and the report."""
    out = folder.parent / "cleaned.json"
    report = maskzoo.check_dataset(folder, fix=out, **options)
    if not out.exists():
        return None, report
    again = maskzoo.check_dataset(out, images=report.splits["train"].folder)
    assert again.count() == report.after.count() and again.errors == 0
    return json.loads(out.read_text()), report


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "set").mkdir()
    return tmp_path / "set"


def rows(report, table="annotations"):
    return report.fixed["train"].rows[table]


@pytest.mark.parametrize("nesting", ["flat", "pairs", "polygons of pairs", "too deep", "names", "text", "flat and text id"])
def test_outlines_in_any_nesting_are_five_objects_and_one_fault_each(folder, nesting):
    content = make_truth()
    for row in content["annotations"]:
        (points,) = row["segmentation"]
        pairs = [points[place : place + 2] for place in range(0, len(points), 2)]
        row["segmentation"] = {
            "flat": points, "pairs": pairs, "polygons of pairs": [pairs], "too deep": [[points]],
            "names": [{"x": x, "y": y} for x, y in pairs], "text": json.dumps([points]), "flat and text id": points,
        }[nesting]  # fmt: skip
        if "id" in nesting:
            row["image_id"] = str(row["image_id"])
    write_truth(folder, content)
    after, report = fix(folder)
    assert read_objects(after) == list_truth()
    assert report.count()["bad-nesting"] == 5 and "bad-polygon" not in report.count()
    assert (rows(report).saved, rows(report).dropped, rows(report).left) == (5, 0, 0) and report.after.problems == ()


@pytest.mark.parametrize(
    "size",
    [
        {},
        {"width": 0, "height": 0},
        {"width": None, "height": None},
        {"width": "", "height": ""},
        {"width": "160px", "height": "120px"},
        {"width": -160, "height": -120},
        {"width": 160},
        {"width": HEIGHT, "height": WIDTH},
        {"width": 161, "height": 119},
        {"width": 200, "height": 120},
        {"width": 320, "height": 240},
        {"width": 10**9, "height": 10**9},
    ],
    ids=str,
)
def test_a_size_is_the_files_where_the_objects_fit(folder, size):
    content = make_truth()
    content["images"] = [{"id": row["id"], "file_name": row["file_name"], **size} for row in content["images"]]
    write_truth(folder, content)
    after, report = fix(folder)
    assert report.splits["train"].folder == folder and report.errors
    assert read_objects(after) == list_truth()
    assert {(row["width"], row["height"]) for row in after["images"]} == {(WIDTH, HEIGHT)}
    assert rows(report, "images").saved == 3 and rows(report).dropped == 0


def test_a_single_size_that_may_be_that_of_a_smaller_copy_is_not_guessed(folder):
    write_truth(folder, make_truth())
    with Image.open(folder / "a1.jpg") as image:  # are its outlines half as large as the photo?
        larger = image.resize((2 * WIDTH, 2 * HEIGHT))
    larger.save(folder / "a1.jpg")
    after, report = fix(folder)
    assert report.count()["size-differs"] == 1 and read_objects(after) == list_truth()[2:]


def test_an_object_that_does_not_fit_the_file_is_not_moved(folder):
    content = make_truth()
    content["images"][0] |= {"width": 400, "height": 121}
    content["annotations"][0] |= {"segmentation": [[300, 20, 380, 20, 380, 90]], "bbox": [300, 20, 80, 70]}
    write_truth(folder, content)
    after, _ = fix(folder)
    assert read_objects(after) == list_truth()[2:]


def test_a_size_that_no_file_gives_is_that_of_the_masks(folder):
    content = make_truth()
    del content["images"][2]["width"]
    runs = {"size": [HEIGHT, WIDTH], "counts": [5 * HEIGHT, 20 * HEIGHT, (WIDTH - 25) * HEIGHT]}
    content["annotations"][4] |= {"segmentation": runs, "bbox": [5, 0, 20, HEIGHT], "area": 20 * HEIGHT}
    write_truth(folder, content)
    shutil.move(folder / "train.json", folder.parent / "alone.json")
    shutil.rmtree(folder)
    out = folder.parent / "cleaned.json"
    report = maskzoo.check_dataset(folder.parent / "alone.json", fix=out)
    assert json.loads(out.read_text())["images"][2] | {} == make_truth()["images"][2]
    assert report.fixed["train"].left[0].code == "no-images-folder" and report.after.errors == 1


@pytest.mark.parametrize(
    ("write", "files"),
    [
        (lambda name: f"images\\{name}", "images/{}"),
        (lambda name: f"..\\..\\label-studio\\media\\upload\\4\\1a2b3c4d-{name}", "images/1a2b3c4d-{}"),
        (lambda name: f"/label-studio/data/media/upload/4/1a2b3c4d-{name}", "images/{}"),
        (lambda name: f"D:\\work\\set\\{name}", "{}"),
        (lambda name: f"https://storage.example.com/bucket/{name}", "{}"),
        (lambda name: f"/data/local-files/?d=photos/{name}", "deep/photos/{}"),
        (lambda name: f"elsewhere/images/{name}", "images/{}"),
        (lambda name: name.upper(), "images/{}"),
        (lambda name: f"é %20{name}", "images/e\u0301  {}"),
        (lambda name: f"set/{name}", "one/two/{}"),
    ],
)
def test_a_name_written_elsewhere_is_that_of_the_one_file_that_fits(folder, write, files):
    content = make_truth()
    for row in content["images"]:
        row["file_name"] = write(row["file_name"])
    paths = [files.format(name) for name in NAMES]
    write_truth(folder, content, names=paths, file="result.json")
    after, report = fix(folder)
    assert [row["file_name"].rpartition("/")[2] for row in after["images"]] == [path.rpartition("/")[2] for path in paths]
    assert [box for *_, box in read_objects(after)] == [box for *_, box in list_truth()]
    (judgement,) = [one for one in report.judgements if one.code == "names-otherwise"]
    assert judgement.certain and judgement.describe().startswith("3 of 3 file names lead to no file")
    assert report.count()["misnamed-image"] == 3 and "missing-image" not in report.count()
    assert (rows(report, "images").saved, rows(report).saved, rows(report).dropped) == (3, 5, 0)
    for images in (folder, report.splits["train"].folder):  # whichever a person gives
        given = maskzoo.check_dataset(folder.parent / "cleaned.json", images=images)
        assert given.splits["train"].folder is not None and "missing-image" not in given.count()


def test_names_that_are_right_are_not_judged_by_a_few_that_are_wrong(folder):
    content = make_truth()
    content["images"][0]["file_name"] = unicodedata.normalize("NFD", "é.jpg")
    write_truth(folder, content, names=("images/é.jpg", "images/a2.jpg", "images/a3.jpg"))
    after, report = fix(folder)
    assert after["images"][0]["file_name"] == "é.jpg" and report.count() == {"misnamed-image": 1}
    assert [one.code for one in report.judgements] == []
    assert "composed otherwise" in str(report.problems[0])


def test_missing_images_are_told_one_by_one_and_the_rest_is_found(folder):
    content = make_truth()
    extra = [{"id": number, "file_name": f"{number}.jpg", "width": 9, "height": 9} for number in range(100, 125)]
    content["images"] = [*extra, *content["images"]]
    write_truth(folder, content, names=[f"images/{name}" for name in NAMES])
    after, report = fix(folder)
    assert report.count()["missing-image"] == 25 and report.splits["train"].folder == folder / "images"
    assert read_objects(after) == list_truth() and rows(report, "images").dropped == 25


def test_a_name_that_two_files_fit_is_left_with_both_named(folder):
    content = make_truth()
    write_truth(folder, content, names=("one/a1.jpg", "two/a2.jpg", "three/a3.jpg"))
    shutil.copy(folder / "one" / "a1.jpg", folder / "two" / "a1.jpg")
    after, report = fix(folder)
    (missing,) = [fault for fault in report.problems if fault.code == "missing-image"]
    assert "one/a1.jpg" in str(missing) and "two/a1.jpg" in str(missing) and "fit the name alike" in str(missing)
    assert [row["file_name"] for row in after["images"]] == ["two/a2.jpg", "three/a3.jpg"]


@pytest.mark.parametrize("flags", [[None] * 5, ["", False, "0", "false", "no"], ["False", 0, 0.0, None, ""]], ids=str)
def test_flags_that_say_nothing_are_0(folder, flags):
    content = make_truth()
    for row, flag in zip(content["annotations"], flags, strict=True):
        row |= {"iscrowd": flag, "category_id": str(row["category_id"])}
    write_truth(folder, content)
    after, report = fix(folder)
    assert read_objects(after) == list_truth() and not any(row["iscrowd"] for row in after["annotations"])
    assert rows(report).saved == 5


@pytest.mark.parametrize(
    "ids", [["3f2c9d1e-aaaa", "a91b", "img_0003"], [2**64, 2**64 + 1, 2**70], ["1", "2", "x"], list(NAMES)]
)
def test_ids_of_any_kind_are_only_keys(folder, ids):
    content = make_truth()
    for row in content["images"]:
        row["id"] = ids[row["id"] - 1]
    for place, row in enumerate(content["annotations"]):
        row |= {"image_id": ids[row["image_id"] - 1], "id": f"ann-{place}"}
    write_truth(folder, content)
    after, report = fix(folder)
    assert read_objects(after) == list_truth() and report.after.problems == ()
    assert "unknown-image" not in report.count()  # that only follows


def test_images_without_ids_that_objects_name_by_their_files(folder):
    content = make_truth()
    for row in content["images"]:
        del row["id"]
    for row in content["annotations"]:
        row["image_id"] = NAMES[row["image_id"] - 1]
    write_truth(folder, content)
    assert read_objects(fix(folder)[0]) == list_truth()


@pytest.mark.parametrize("flat", [True, False])
def test_what_all_objects_have_in_common_is_judged_once_they_can_be_read(folder, flat):
    content = make_truth()
    for row in content["annotations"]:
        (points,) = row["segmentation"]
        parts = [value / (HEIGHT if place % 2 else WIDTH) for place, value in enumerate(points)]
        row["segmentation"] = parts if flat else [parts]
    for row in content["images"]:
        row["width"] = row["width"] if flat else None
    write_truth(folder, content)
    after, report = fix(folder)
    assert read_objects(after) == list_truth() and report.after.judgements == ()


@pytest.mark.parametrize("shift", [1, -1])
def test_objects_that_count_their_categories_from_another_number_keep_their_classes(folder, shift):
    content = make_truth()
    for row in content["categories"]:
        row["id"] -= 1 if shift == 1 else 0
    for row in content["annotations"]:
        row["category_id"] += 0 if shift == 1 else -1
    write_truth(folder, content)
    after, report = fix(folder)
    assert read_objects(after) == list_truth() and report.errors
    assert [one.code for one in report.judgements] == ["ids-shifted"]


@pytest.mark.parametrize(
    "write",
    [
        lambda content: [content],
        lambda content: {"data": content},
        lambda content: content | {"images": {str(row["id"]): row for row in content["images"]}},
        lambda content: content | {"images": {row.pop("id"): row for row in copy.deepcopy(content["images"])}},
        lambda content: content | {"annotations": [[row] for row in content["annotations"]]},
        lambda content: content | {"annotations": by_image(content["annotations"])},
        lambda content: content | {"categories": {"1": "scratch", "2": "dent"}},
        lambda content: content | {"categories": {"dent": 2, "scratch": 1}},
        lambda content: content | {"categories": ["scratch", "dent"]},
    ],
)
def test_tables_in_another_form_are_lists_again(folder, write):
    write_truth(folder, write(make_truth()))
    after, report = fix(folder)
    assert sorted(read_objects(after)) == sorted(list_truth()) and report.count() == {"odd-table": 1}
    assert report.after.problems == () and (rows(report).dropped, rows(report).left) == (0, 0)


def by_image(annotations):
    """Return objects by the ids of their images, which the rows themselves lack."""
    found = {}
    for row in copy.deepcopy(annotations):
        found.setdefault(row.pop("image_id"), []).append(row)
    return found


def test_names_alone_that_may_be_numbered_from_0_or_1_are_not_guessed(folder):
    content = make_truth() | {"categories": ["scratch", "dent", "hole"]}
    write_truth(folder, content)
    assert fix(folder)[0] is None


@pytest.mark.parametrize("field", ["filename", "path", "name"])
def test_a_file_that_is_named_in_another_field_is_found(folder, field):
    content = make_truth()
    for row in content["images"]:
        row[field] = row.pop("file_name")
    write_truth(folder, content)
    after, report = fix(folder)
    assert read_objects(after) == list_truth() and not report.errors


def test_a_large_id_is_told_with_the_limit(folder):
    content = make_truth()
    content["images"][0]["id"] = 2**64
    write_truth(folder, content)
    _, report = fix(folder)
    (fault,) = [fault for fault in report.problems if fault.code == "bad-id"]
    assert str(fault).endswith("found 18446744073709551616; expected a whole number from 0 to 9223372036854775807")


def test_several_kinds_at_once_are_all_saved(folder):
    content = make_truth()
    for row in content["images"]:
        row |= {"id": f"image {row['id']}", "file_name": f"C:\\photos\\{row['file_name'].upper()}", "width": None}
    for row in content["annotations"]:
        row |= {"image_id": f"image {row['image_id']}", "iscrowd": None, "bbox": None, "area": "?"}
        row["segmentation"] = row["segmentation"][0]
        row["category_id"] = {1: "Scratch", 2: "dent"}[row["category_id"]]
    content["categories"] += copy.deepcopy(content["categories"])
    write_truth(folder, content, names=[f"deep/images/{name}" for name in NAMES])
    after, report = fix(folder)
    assert [(name, box) for _, name, box in read_objects(after)] == [(name, box) for _, name, box in list_truth()]
    assert rows(report).saved == 5 and len(after["categories"]) == 2


def test_the_findings_before_and_after_and_the_rows_are_in_the_report(folder):
    content = make_truth()
    content["annotations"][0]["segmentation"] = None
    content["annotations"][1]["iscrowd"] = ""
    content["annotations"][2]["area"] = 0
    write_truth(folder, content)
    _, report = fix(folder)
    printed = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert printed["counts"] == {"no-outline": 1, "bad-flag": 1, "no-area": 1} and printed["after"]["counts"] == {}
    assert printed["fixed"]["train"]["rows"]["annotations"] == {"before": 5, "saved": 1, "changed": 2, "dropped": 1, "left": 0}
    assert printed["fixed"]["train"]["written"] is True


def test_nothing_of_the_set_is_changed(folder):
    content = make_truth()
    content["images"][0] |= {"file_name": "x\\a1.jpg", "width": 0}
    write_truth(folder, content)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}
    fix(folder)
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()} == before


def test_a_link_to_nothing_is_called_so(folder):
    content = make_truth()
    write_truth(folder, content)
    (folder / "a1.jpg").unlink()
    (folder / "a1.jpg").symlink_to(folder / "gone.jpg")
    _, report = fix(folder)
    (fault,) = [fault for fault in report.problems if fault.code == "unreadable-image"]
    assert "a link that leads nowhere" in str(fault)


def test_a_damaged_image_is_dropped_and_the_rest_saved(folder):
    content = make_truth()
    write_truth(folder, content)
    (folder / "a1.jpg").write_bytes((folder / "a1.jpg").read_bytes()[:200])
    Image.new("RGB", (9, 9)).save(folder / "unnamed.png")
    after, report = fix(folder)
    assert read_objects(after) == list_truth()[2:] and report.after.count() == {"unnamed-image": 1}


def test_splits_of_the_same_names_find_each_its_own_files(folder):
    for split in ("train", "val"):
        content = make_truth()
        for row in content["images"]:
            row["file_name"] = f"C:\\set\\{row['file_name']}" if split == "val" else row["file_name"]
        content["categories"].reverse()
        write_truth(folder, content, names=[f"photos/{split}/{name}" for name in NAMES], file=f"{split}.json", size=(160, 120))
    train = json.loads((folder / "train.json").read_text())
    for row in train["images"]:
        row["file_name"] = f"photos/train/{row['file_name']}"
    (folder / "train.json").write_text(json.dumps(train))
    report = maskzoo.check_dataset(folder, fix=folder.parent / "cleaned", duplicates=False)
    val = json.loads((folder.parent / "cleaned" / "val.json").read_text())
    assert [row["file_name"] for row in val["images"]] == [f"photos/val/{name}" for name in NAMES]
    assert report.after.errors == 0 and list(report.fixed) == ["train", "val"] and report.fixed["val"].rows["images"].saved == 3


def test_a_split_of_which_nothing_is_left_does_not_stop_the_others(folder):
    write_truth(folder, make_truth(), names=[f"train/{name}" for name in NAMES])
    content = make_truth()
    for row in content["annotations"]:
        row["segmentation"] = None
    write_truth(folder, content, names=[f"val/{name}" for name in NAMES], file="val.json")
    report = maskzoo.check_dataset(folder, fix=folder.parent / "cleaned")
    assert [path.name for path in (folder.parent / "cleaned").iterdir()] == ["train.json"]
    assert report.fixed["val"].reason and not report.fixed["train"].reason and list(report.after.splits) == ["train"]
