"""A data set is judged as a whole: what all of it looks like, in numbers; a sound set is left alone."""

import json

import numpy as np
import pytest

import maskzoo
from coco_files import count_runs
from faulty_data import make_object, make_sound, rewrite
from judged_data import WAYS, change, make_set, scale_box, scale_outline, turn
from maskzoo.dataset_checks.annotation_checks import measure_objects
from maskzoo.dataset_checks.codes import CODES
from maskzoo.dataset_checks.judgement import LOOKS
from maskzoo.dataset_checks.judgements import judge_annotations, judge_splits
from maskzoo.dataset_checks.split_checks import check_splits
from maskzoo.datasets.coco_reader import pack_annotations, sift


def judge(**splits):
    """Return what is judged of the contents of some splits, by code and split, without reading an image."""
    found = judge_annotations({split: pack_annotations(data, f"{split}.json") for split, data in splits.items()})
    assert all(str(one) and one.advise() for one in found)
    return {(one.code, one.split): one for one in found}


def judge_raw(data):
    """Return what is judged of a file that may be at fault, by code."""
    found = judge_splits({"train": measure_objects(sift(data, "train.json", "train"))})
    assert all(json.dumps(one.to_dict(), allow_nan=False) for one in found)
    return {one.code: one for one in found}


# --- what must not be judged


@pytest.mark.parametrize(
    "data",
    [
        make_set(),
        make_set(runs=True),
        make_set(size=(240, 240)),
        make_set(images=1, each=1, classes=("cat",)),
        make_set(images=200, each=2, seed=3),
        make_set(size=(1080, 1920), seed=4),
        make_set(size=(6, 5), seed=5),  # every object is within a few pixels
        make_set(size=(2, 3), seed=6),
        make_set(images=1, each=1, size=(2, 2), classes=("cat",)),
    ],
)
def test_a_sound_set_is_not_judged(data):
    assert judge(train=data) == {}


def test_sound_splits_are_not_judged(tmp_path):
    data = {split: make_sound(tmp_path, split, first=first)[1] for split, first in (("train", 0), ("val", 50))}
    assert judge(train=data["train"]) == judge(**data) == {}


def test_few_pixels_each_are_no_specks_of_an_edge():
    data = make_set(images=2, each=0)
    spots = [(x, y) for x in range(5, 300, 12) for y in range(5, 230, 12)]
    for number, (x, y) in enumerate(spots):
        data["annotations"].append(make_object(number + 1, number % 2 + 1, x, y, 3 + number % 2, 2, category_id=number % 2 + 1))
    for row in data["annotations"]:
        x, y, w, h = row["bbox"]
        row["segmentation"] = [[x, y, x + w, y, x + w / 2, y + h]]
        row["area"] = w * h / 2
    assert judge(train=data) == {}


def test_a_corner_pixel_is_no_part_of_an_image():
    data = make_set(each=1)
    dot = {"bbox": [0, 0, 1, 1], "segmentation": [[0, 0, 1, 0, 1, 1, 0, 1]], "area": 1}
    assert judge(train=change(data, **{key: lambda row, w, h, value=value: value for key, value in dot.items()})) == {}


def test_crowds_as_rare_as_in_coco_are_not_judged():
    data = make_set(images=60, each=2, runs=True)
    data["annotations"][7]["iscrowd"] = 1
    assert judge(train=data) == {}


# --- coordinates


@pytest.mark.parametrize("few", [2, 5])
def test_a_few_objects_inside_the_first_pixel_are_parts_of_the_image_among_others_in_pixels(few):
    data = make_set(images=40)
    changed = change(data, few / len(data["annotations"]), segmentation=scale_outline(1, 1), bbox=scale_box(1, 1))
    one = judge(train=changed)["parts-of-image", ""]
    assert one.certain and one.evidence["within"] == few
    slivers = [[0, 0, 0.7, 0, 0.4, 0.6]], [0, 0, 0.7, 0.6]  # what is left of objects that were cut off
    for row in (data := make_set(images=40))["annotations"][:few]:
        row["segmentation"], row["bbox"] = slivers
    assert ("parts-of-image", "") not in judge(train=data)


def test_objects_that_keep_away_from_the_edges_of_small_images_are_no_percent():
    data = make_set(images=40)
    for row in data["images"]:
        row["width"] = row["height"] = 115
    for place, row in enumerate(data["annotations"]):
        x, y = 1.5 + place % 60, 1.5 + place * 7 % 60
        row["segmentation"], row["bbox"] = [[x, y, x + 35, y, x + 20, y + 35]], [x, y, 35, 35]
    assert judge(train=data) == {}


@pytest.mark.parametrize("share", [0.8, 0.9, 1])
@pytest.mark.parametrize("count", [2, 5, 400])
def test_coordinates_from_0_to_1_are_certain(share, count):
    data = change(make_set(images=count, each=1), share, segmentation=scale_outline(1, 1), bbox=scale_box(1, 1))
    found = judge(train=data)
    if round(share * count) < 0.8 * count:
        return
    one = found["parts-of-image", ""]
    assert one.certain and one.evidence["within"] == round(share * count) and one.evidence["objects"] == count
    assert "parts of the image's width and height" in str(one) and "outlines and boxes" in str(one)


def test_parts_are_found_in_outlines_alone_and_in_boxes_alone():
    outlines = judge(train=change(make_set(), segmentation=scale_outline(1, 1)))["parts-of-image", ""]
    assert str(outlines.evidence["what"]) == "outlines" and outlines.certain
    data = change(make_set(), segmentation=lambda row, w, h: [], bbox=scale_box(1, 1))
    boxes = judge_raw(data)["parts-of-image"]
    assert str(boxes.evidence["what"]) == "boxes" and boxes.certain


def test_parts_of_one_split_are_told_of_it_alone():
    good, bad = make_set(images=40), change(make_set(seed=1), segmentation=scale_outline(1, 1), bbox=scale_box(1, 1))
    assert ("parts-of-image", "val") in judge(train=good, val=bad)
    assert ("parts-of-image", "") in judge(train=bad, val=bad)


def test_percent_is_certain_where_boxes_or_areas_prove_it():
    percent = {"segmentation": scale_outline(100, 100)}
    area = {"area": lambda row, w, h: row["area"] * 1e4 / w / h}
    proved = judge(train=change(make_set(), **percent))["percent-of-image", ""]
    assert proved.certain and "percent" in str(proved)
    by_area = change(make_set(), **percent, bbox=scale_box(100, 100))
    assert judge(train=by_area)["percent-of-image", ""].certain
    unproved = judge(train=change(make_set(), **percent, **area, bbox=scale_box(100, 100)))
    assert not unproved["percent-of-image", ""].certain
    assert ("percent-of-image", "") not in judge(train=make_set(size=(100, 100), images=20))


@pytest.mark.parametrize("size", [(240, 320), (500, 300)])
def test_x_and_y_exchanged_are_certain_where_images_are_not_square(size):
    data = make_set(size=size, images=10)
    turned = change(data, segmentation=turn, bbox=lambda row, w, h: WAYS["y x height width"](row["bbox"], w, h))
    one = judge_raw(turned)["axes-exchanged"]
    assert one.certain and one.evidence["outside"] > 2
    for image in data["images"]:
        image["width"], image["height"] = image["height"], image["width"]
    assert judge_raw(data)["axes-exchanged"].certain  # the same, seen from the images
    square = change(
        make_set(size=(300, 300)), segmentation=turn, bbox=lambda row, w, h: WAYS["y x height width"](row["bbox"], w, h)
    )
    assert judge_raw(square) == {}


def test_a_few_sloppy_outlines_do_not_make_exchanged_axes_certain():
    data = make_set(images=40, size=(480, 640))
    for row in data["annotations"]:  # all in the left part, which would be inside if x and y were exchanged
        x = row["bbox"][0] / 2
        row["segmentation"] = [[x, 100, x + 60, 100, x + 60, 180, x, 180]]
        row["bbox"], row["area"] = [x, 100, 60, 80], 4800
    for row in data["annotations"][:3]:
        row["segmentation"][0][5] = row["segmentation"][0][7] = 500
    assert not any(one.certain for one in judge_raw(data).values())


@pytest.mark.parametrize(("factor", "certain"), [(1.15, False), (1.5, True), (2, True), (4, True)])
def test_coordinates_of_larger_images_are_told(factor, certain):
    data = change(
        make_set(images=20),
        segmentation=lambda row, w, h: scale_outline(factor * w, factor * h)(row, w, h),
        bbox=lambda row, w, h: [factor * value for value in row["bbox"]],
    )
    assert judge_raw(data)["larger-scale"].certain == certain


def test_coordinates_of_smaller_images_are_a_hint():
    data = change(
        make_set(images=80),
        segmentation=lambda row, w, h: scale_outline(w / 2, h / 2)(row, w, h),
        bbox=lambda row, w, h: [value / 2 for value in row["bbox"]],
    )
    assert not judge(train=data)["smaller-scale", ""].certain


# --- boxes


@pytest.mark.parametrize("runs", [False, True])
@pytest.mark.parametrize("share", [0.8, 0.9, 1])
@pytest.mark.parametrize("way", WAYS)
def test_boxes_that_are_written_in_another_way_are_told_with_the_way(way, share, runs):
    data = change(make_set(images=12, runs=runs), share, bbox=lambda row, w, h: WAYS[way](row["bbox"], w, h))
    one = judge_raw(data)["boxes-otherwise"]
    assert one.certain and str(one.evidence["way"]).startswith(way)
    assert one.evidence["objects"] == 36 and one.evidence["explained"] >= 0.8 * one.evidence["wrong"]
    assert one.examples and one.examples[0].table == "annotations"


def test_boxes_of_one_split_are_not_told_of_the_whole_set_in_other_words():
    train = change(make_set(images=20), 0.05, bbox=lambda row, w, h: [0, 0, 30, 40])
    val = change(make_set(seed=1), bbox=lambda row, w, h: WAYS["x1 y1 x2 y2"](row["bbox"], w, h))
    assert [*judge(train=train, val=val)] == [("boxes-otherwise", "val"), ("boxes-differ", "train")]


def test_some_boxes_in_another_way_are_a_doubt_with_the_way():
    data = change(make_set(images=20), 0.2, bbox=lambda row, w, h: WAYS["x1 y1 x2 y2"](row["bbox"], w, h))
    one = judge_raw(data)["boxes-otherwise"]
    assert not one.certain and one.evidence["wrong"] == one.evidence["explained"] == 11 and "x1 y1 x2 y2" in str(one)


def test_two_boxes_as_corners_are_certain_and_one_is_a_hint():
    def corners(row, w, h):
        return WAYS["x1 y1 x2 y2"](row["bbox"], w, h)

    assert judge(train=change(make_set(images=1, each=2, seed=2), bbox=corners))["boxes-otherwise", ""].certain
    assert not judge(train=change(make_set(images=1, each=1, seed=2), bbox=corners))["boxes-otherwise", ""].certain


def test_boxes_that_differ_in_no_single_way_are_counted():
    random = np.random.default_rng(0)
    data = change(make_set(images=20), 0.3, bbox=lambda row, w, h: [*random.uniform(0, 100, 2), *random.uniform(20, 90, 2)])
    one = judge(train=data)["boxes-differ", ""]
    assert not one.certain and one.evidence["wrong"] == 18 and one.evidence["objects"] == 60
    assert str(one).startswith("the whole set: 18 of 60 boxes differ from their outlines")


# --- crowds


def make_crowd(row):
    return row | {"iscrowd": 1}


@pytest.mark.parametrize("runs", [True, False])
def test_a_set_of_crowds_alone_is_judged_with_the_numbers_and_named_rows(runs):
    data = make_set(runs=runs)
    data["annotations"] = [make_crowd(row) for row in data["annotations"]]
    one = judge(train=data)["all-crowds", ""]
    assert one.certain and one.evidence == {"objects": 18, "crowds": 18, "runs": 18 * runs}
    assert "all 18 annotations are crowds (iscrowd 1)" in str(one)


@pytest.mark.parametrize("count", [2, 3, 9, 17])
def test_many_crowds_are_a_warning(count):
    data = make_set(runs=True)
    data["annotations"] = [make_crowd(row) if place < count else row for place, row in enumerate(data["annotations"])]
    one = judge(train=data)["many-crowds", ""]
    assert not one.certain and one.evidence["crowds"] == count


def test_what_holds_for_the_whole_set_is_not_said_of_each_split():
    train, val = make_set(runs=True), make_set(runs=True, seed=1)
    val["annotations"] = [make_crowd(row) for row in val["annotations"]]
    found = judge(train=train, val=val)
    assert found["all-crowds", "val"].certain and not found["many-crowds", ""].certain
    train["annotations"] = [make_crowd(row) for row in train["annotations"]]
    assert [*judge(train=train, val=val)] == [("all-crowds", "")]


def test_rows_at_fault_are_looked_at_as_far_as_they_can_be_read():
    data = make_set(runs=True)
    data["annotations"] = [make_crowd(row) | {"area": None} for row in data["annotations"]]
    data["annotations"] += [make_object(None, 1, iscrowd=1, bbox=[1, 2]) | {"segmentation": [5]}]
    assert judge_raw(data)["all-crowds"].evidence == {"objects": 19, "crowds": 19, "runs": 18}


# --- classes


def test_one_class_that_holds_nearly_everything_is_told():
    data = make_set(images=40)
    for row in data["annotations"][:117]:
        row["category_id"] = 1
    one = judge(train=data)["one-class", ""]
    assert not one.certain and one.evidence["name"] == "cat" and "'cat'" in str(one) and one.evidence["objects"] >= 117
    assert judge(train=make_set(images=40, classes=("cat",))) == {}  # it is the only one


def test_classes_without_an_object_are_told_of_the_whole_set_alone():
    train, val = make_set(classes=("cat", "dog", "cow")), make_set(seed=1, classes=("cat", "dog", "cow"))
    for row in val["annotations"]:
        row["category_id"] = 1
    assert judge(train=train, val=val) == {}
    one = judge(val=val)["empty-classes", ""]
    assert one.evidence["names"] == ["dog", "cow"] and one.evidence["classes"] == 3


@pytest.mark.parametrize(("above", "group"), [("none", "shapes"), ("", "shapes")])
def test_roboflows_unused_class_is_named_for_what_it_is(above, group):
    data = make_set()
    data["categories"] = [{"id": 0, "name": "shapes", "supercategory": above}] + [
        row | {"supercategory": group} for row in data["categories"]
    ]
    found = judge_raw(data)
    assert found["unused-supercategory"].evidence["names"] == ["shapes"] and "Roboflow" in str(found["unused-supercategory"])
    assert "empty-classes" not in found


@pytest.mark.parametrize(
    "names", [("cat", "Cat"), ("cat", " cat"), ("red car", "red_car"), ("red car", "Red  Car"), ("cat", "cat")]
)
def test_names_that_are_alike_are_told(names):
    one = judge(train=make_set(classes=names))["names-alike", ""]
    assert not one.certain and repr(names[0]) in str(one) and repr(names[1]) in str(one)


def test_the_same_class_in_two_splits_is_not_alike():
    assert judge(train=make_set(), val=make_set(seed=1)) == {}
    assert ("names-alike", "") in judge(train=make_set(), val=make_set(seed=1, classes=("x", "Cat")))


@pytest.mark.parametrize("names", [("a", "A"), ("+", "-"), ("cat", "dog"), ("cat", "cats")])
def test_names_that_are_not_alike_are_left_alone(names):
    assert judge(train=make_set(classes=names)) == {}


@pytest.mark.parametrize(("first", "start"), [(0, 1), (1, 0)])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_objects_numbered_otherwise_than_the_categories_are_told(first, start, count):
    data = make_set()
    data["categories"] = [{"id": first + place, "name": f"c{place}"} for place in range(count)]
    for place, row in enumerate(data["annotations"]):
        row["category_id"] = start + place % count
    found = judge_raw(data)
    one = found["ids-shifted"]
    assert one.certain and f"numbered from {first}, and objects from {start}" in str(one)
    assert "empty-classes" not in found
    if count > 2:  # one class has no object: perhaps it is another that is missing
        for row in data["annotations"]:
            row["category_id"] = start if row["category_id"] == start + 1 else row["category_id"]
        assert not judge_raw(data)["ids-shifted"].certain
    for row in data["annotations"]:
        row["category_id"] += first - start
    assert "ids-shifted" not in judge_raw(data)


@pytest.mark.parametrize("name", ["_background_", "background", "__ignore__", "Background", "BG", "void"])
def test_a_background_among_the_classes_is_told(name):
    one = judge(train=make_set(classes=("cat", name)))["background-class", ""]
    assert one.evidence == {"names": [name], "objects": 9}


# --- shapes


@pytest.mark.parametrize("levels", [30, 120])
def test_specks_of_a_soft_edge_are_told(levels):
    data = make_set(images=2, each=1, runs=True)
    random = np.random.default_rng(0)
    for number in range(levels):
        mask = np.zeros((240, 320), np.uint8)
        mask[random.integers(50, 150, 6), random.integers(50, 200, 6)] = 1
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        x, y = int(columns[0]), int(rows[0])
        row = make_object(100 + number, number % 2 + 1, x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1)
        runs = {"size": [240, 320], "counts": count_runs(mask)}
        data["annotations"].append(row | {"segmentation": runs, "area": int(mask.sum())})
    found = judge(train=data)
    assert (("specks", "") in found) == (levels > 30)


def make_rectangle(angle):
    def rectangle(row, w, h):
        x, y, width, height = row["bbox"]
        middle, half = np.array([x + width / 2, y + height / 2]), np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * (9, 4)
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        return [(middle + half @ turn).ravel().tolist()]

    return rectangle


def fit_box(row, w, h):
    points = np.reshape(row["segmentation"][0], (-1, 2))
    return [*points.min(axis=0).tolist(), *np.ptp(points, axis=0).tolist()]


def test_outlines_that_are_all_rectangles_are_a_hint():
    turned = change(make_set(images=10), segmentation=make_rectangle(0.5))
    assert [*judge(train=change(turned, bbox=fit_box))] == [("rotated-rectangles", "")]
    upright = change(make_set(images=20), segmentation=make_rectangle(0))
    assert [*judge(train=change(upright, bbox=fit_box))] == [("rectangles", "")]
    some = change(make_set(images=20), 0.7, segmentation=make_rectangle(0.5))
    assert judge(train=change(some, 0.7, bbox=fit_box)) == {}


def test_key_points_in_place_of_outlines_are_told():
    def points(row, w, h):
        x, y, width, height = row["bbox"]
        return [[x, y, 2, x + width, y, 2, x, y + height, 1, 0, 0, 0]]

    stars = judge(train=change(make_set(), segmentation=points, bbox=fit_box))
    assert stars["key-points", ""].certain
    data = make_set()
    for row in data["annotations"]:
        row |= {"segmentation": [], "keypoints": [5, 5, 2, 8, 8, 2]}
    assert judge_raw(data)["key-points"].certain
    kept = make_set()
    for row in kept["annotations"]:
        row["keypoints"] = [5, 5, 2, 8, 8, 2]
    assert judge_raw(kept) == {}  # outlines beside key points, as in COCO


# --- splits


def test_images_that_splits_share_are_counted(tmp_path):
    train, _ = make_sound(tmp_path, "train")
    val, _ = make_sound(tmp_path, "val", first=50)
    for number in (1, 2):
        (tmp_path / "val" / f"{50 + number}.png").write_bytes((tmp_path / "train" / f"{number}.png").read_bytes())
    (one,) = check_splits({"train": train, "val": val})[0].judgements
    assert (one.code, one.split, one.certain) == ("shared-images", "val", False)
    assert one.describe() == "2 of 6 images are in train too"


def test_images_of_one_name_with_the_same_objects_are_shared_without_being_read():
    train, other = make_set(), make_set(seed=1)
    one = judge(train=train, val=train)["shared-images", "val"]
    assert one.evidence["shared"] == 6
    for image, theirs in zip(other["images"], train["images"], strict=True):
        image["file_name"] = theirs["file_name"]  # 0001.jpg is in many folders
    assert judge(train=train, val=other) == {}


# --- in the report


def test_a_judgement_stands_in_the_report_above_its_symptoms_and_is_an_error(tmp_path):
    file, data = make_sound(tmp_path)
    for row in data["annotations"]:
        x, y, width, height = row["bbox"]
        row["bbox"] = [x, y, x + width, y + height]
    report = maskzoo.check_dataset(rewrite(file, data), page=tmp_path / "page.html")
    (one,) = report.judgements
    assert len(report.problems) == 12 and report.list_unexplained() == []
    printed = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert printed["errors"] == report.errors == 1 + sum(CODES[p.code].severity == "error" for p in report.problems)
    assert printed["judgements"][0]["severity"] == "error" and printed["judgements"][0]["evidence"]["objects"] == 12
    assert [example["row"] for example in printed["judgements"][0]["examples"]] == [10, 11, 20]
    page = (tmp_path / "page.html").read_text()
    assert one.describe() in page and page.index("As a whole") < page.index("Summary")


def test_the_words_of_every_judgement_are_whole():
    for look in LOOKS.values():
        assert look.symptoms <= CODES.keys()
        assert not look.look.endswith(".") and not look.remedy.endswith(".")
