"""What a whole set has in common is repaired in a cleaned copy: the boxes, areas and flags are the truth's again."""

import copy
import json

import numpy as np
import pytest
from PIL import Image

import maskzoo
from judged_data import WAYS, change, make_set, scale_box, scale_outline, turn
from maskzoo.errors import ArgumentError


def write_set(folder, data, name="train"):
    """Write the file and its pictures, of the sizes that `data` says."""
    (folder / name).mkdir(parents=True)
    for image in data["images"]:
        Image.new("RGB", (image["width"], image["height"]), (image["id"], 9, 9)).save(folder / name / image["file_name"])
    return write(folder, data, name)


def write(folder, data, name="train"):
    file = folder / f"{name}.json"
    file.write_text(json.dumps(data))
    return file


def fix(file, **options):
    """Return the rows of the cleaned copy, which has no error, and the report on the original."""
    out = file.parent / "out.json"
    report = maskzoo.check_dataset(file, fix=out, duplicates=False, **options)
    again = maskzoo.check_dataset(out, images=file.parent, duplicates=False)
    assert again.errors == 0 and again.judgements == ()
    return json.loads(out.read_text())["annotations"], report


def assert_same(rows, truth, slack=1.0):
    """Compare boxes, areas and flags with the truth."""
    assert [row["id"] for row in rows] == [row["id"] for row in truth["annotations"]]
    boxes = [np.array([row["bbox"] for row in side]) for side in (rows, truth["annotations"])]
    assert np.abs(boxes[0] - boxes[1]).max() <= slack
    areas = [np.array([row["area"] for row in side]) for side in (rows, truth["annotations"])]
    assert (np.abs(areas[0] - areas[1]) <= 0.01 * areas[1]).all() and all(row["iscrowd"] == 0 for row in rows)


@pytest.mark.parametrize("share", [0.85, 1])
@pytest.mark.parametrize("boxes", [True, False])
def test_parts_of_the_image_become_pixels(tmp_path, share, boxes):
    truth = make_set()
    fields = {"segmentation": scale_outline(1, 1), "area": lambda row, w, h: row["area"] / w / h}
    bad = change(truth, share, **fields, **({"bbox": scale_box(1, 1)} if boxes else {}))
    write_set(tmp_path, truth)
    rows, report = fix(write(tmp_path, bad))
    assert_same(rows, truth)
    scaled = [count for one, count in report.fixed["train"].changes.items() if one.action == "outline in pixels"]
    assert scaled == [round(share * len(truth["annotations"]))]


@pytest.mark.parametrize("share", [0.85, 1])
@pytest.mark.parametrize("boxes", [True, False])
def test_percent_becomes_pixels_where_boxes_or_areas_prove_it(tmp_path, share, boxes):
    truth = make_set()
    write_set(tmp_path, truth)
    fields = {"segmentation": scale_outline(100, 100)} | ({} if boxes else {"bbox": scale_box(100, 100)})
    assert_same(fix(write(tmp_path, change(truth, share, **fields)))[0], truth)


@pytest.mark.parametrize("runs", [False, True])
@pytest.mark.parametrize("share", [0.8, 1])
@pytest.mark.parametrize("way", WAYS)
def test_boxes_are_taken_from_the_outlines_whatever_way_they_are_written_in(tmp_path, way, share, runs):
    truth = make_set(runs=runs)
    write_set(tmp_path, truth)
    bad = change(truth, share, bbox=lambda row, w, h: WAYS[way](row["bbox"], w, h))
    assert_same(fix(write(tmp_path, bad))[0], truth)


def test_single_boxes_are_taken_from_sound_outlines_too(tmp_path):
    truth = make_set(images=10)
    write_set(tmp_path, truth)
    bad = copy.deepcopy(truth)
    for place, bbox in ((3, [0, 0, 12, 9]), (7, [200, 100, 400, 300]), (9, [1, 1, 318, 238])):
        bad["annotations"][place]["bbox"] = bbox
    assert_same(fix(write(tmp_path, bad))[0], truth)


def exchange(truth):
    return change(truth, segmentation=turn, bbox=lambda row, w, h: WAYS["y x height width"](row["bbox"], w, h))


def test_x_and_y_are_exchanged_back_where_the_files_show_the_sizes_to_be_right(tmp_path):
    truth = make_set(images=10)
    write_set(tmp_path, truth)
    assert_same(fix(write(tmp_path, exchange(truth)))[0], truth)


def test_x_and_y_stay_where_no_file_says_which_is_wrong(tmp_path):
    bad = exchange(make_set(images=10))
    maskzoo.check_dataset(write(tmp_path, bad), fix=tmp_path / "out.json")
    rows = {row["id"]: row for row in json.loads((tmp_path / "out.json").read_text())["annotations"]}
    assert all(rows[row["id"]]["segmentation"] == row["segmentation"] for row in bad["annotations"] if row["id"] in rows)


def test_x_and_y_of_outlines_are_exchanged_back_where_their_boxes_show_it(tmp_path):
    truth = make_set(images=10)
    maskzoo.check_dataset(write(tmp_path, change(truth, segmentation=turn)), fix=tmp_path / "out.json")
    assert_same(json.loads((tmp_path / "out.json").read_text())["annotations"], truth)


@pytest.mark.parametrize("share", [0.9, 1])
@pytest.mark.parametrize("factor", [1.5, 2, 3.7])
def test_outlines_of_larger_images_are_scaled_where_their_boxes_show_the_scale(tmp_path, factor, share):
    truth = make_set(images=10)
    write_set(tmp_path, truth)

    def enlarge(row, w, h):
        return scale_outline(factor * w, factor * h)(row, w, h)

    assert_same(fix(write(tmp_path, change(truth, share, segmentation=enlarge)))[0], truth)


@pytest.mark.parametrize("runs", [True, False])
@pytest.mark.parametrize("count", [1, 18])
def test_crowds_become_objects_when_asked_with_boxes_and_areas_from_their_masks(tmp_path, runs, count):
    truth = make_set(runs=runs)
    write_set(tmp_path, truth)
    share = count / len(truth["annotations"])
    wrong = {"iscrowd": lambda row, w, h: 1, "bbox": lambda row, w, h: [0, 0, 5, 5], "area": lambda row, w, h: 7}
    file = write(tmp_path, change(truth, share, **wrong))
    rows, report = fix(file, crowds_as_objects=True)
    assert_same(rows, truth, slack=1e-3)
    taken = [number for one, number in report.fixed["train"].changes.items() if one.action == "taken as an object"]
    assert taken == [count]


def test_crowds_stay_unless_asked(tmp_path):
    truth = make_set(runs=True)
    file = write_set(tmp_path, change(truth, 0.5, iscrowd=lambda row, w, h: 1))
    maskzoo.check_dataset(file, fix=tmp_path / "out.json", duplicates=False)
    assert sum(row["iscrowd"] for row in json.loads((tmp_path / "out.json").read_text())["annotations"]) == 9
    with pytest.raises(ArgumentError, match="--fix"):
        maskzoo.check_dataset(file, crowds_as_objects=True)


def resize(data, factor):
    """Return the truth for files of `factor` times the sides: outlines, boxes and areas with them."""
    data = copy.deepcopy(data)
    for image in data["images"]:
        image["width"], image["height"] = round(factor * image["width"]), round(factor * image["height"])
    for row in data["annotations"]:
        row["bbox"] = [factor * value for value in row["bbox"]]
        row["area"] *= factor**2
        if isinstance(row["segmentation"], list):
            row["segmentation"] = [[factor * value for value in polygon] for polygon in row["segmentation"]]
    return data


@pytest.mark.parametrize("runs", [False, True])
@pytest.mark.parametrize("factor", [0.25, 0.5, 2, 2.5])
def test_files_that_were_resized_after_they_were_annotated_get_their_outlines_scaled(tmp_path, factor, runs):
    data = make_set(runs=runs)
    truth = resize(data, factor)
    write_set(tmp_path, truth)
    rows, report = fix(write(tmp_path, data))
    (one,) = [one for one in report.judgements if one.code == "images-resized"]
    assert one.certain and one.evidence == {"images": 6, "differ": 6, "scale": factor} and report.list_unexplained() == []
    boxes = [np.array([row["bbox"] for row in side]) for side in (rows, truth["annotations"])]
    assert np.abs(boxes[0] - boxes[1]).max() <= (2.5 if runs else 1e-2)
    areas = [np.array([row["area"] for row in side]) for side in (rows, truth["annotations"])]
    assert (np.abs(areas[0] - areas[1]) <= (0.1 if runs else 1e-3) * areas[1]).all()


def test_sizes_that_were_noted_wrong_are_not_taken_for_resized_files(tmp_path):
    truth = make_set()
    write_set(tmp_path, truth)
    bad = copy.deepcopy(truth)
    for image in bad["images"]:  # the outlines reach farther than such images would
        image["width"], image["height"] = image["width"] // 2, image["height"] // 2
    report = maskzoo.check_dataset(write(tmp_path, bad), duplicates=False)
    assert not [one for one in report.judgements if one.code == "images-resized" and one.certain]
    for image in bad["images"]:
        image["width"], image["height"] = truth["images"][0]["width"] * 2, truth["images"][0]["height"] * 2
    report = maskzoo.check_dataset(write(tmp_path, bad), duplicates=False)
    assert not [one for one in report.judgements if one.code == "images-resized" and one.certain]
