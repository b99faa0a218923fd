"""Each kind of error is made on purpose, and has to be found as what it is."""

import json

import pytest

from grids import SIDE, detect, find_all, load, make_grid
from maskzoo.evaluation.analysis import analyze
from maskzoo.evaluation.error_analysis import ERRORS


def look(data, rows):
    annotations, results = load(data, rows)
    return annotations, analyze(annotations, results)


def count_only(**counts):
    return dict.fromkeys(ERRORS.values(), 0) | counts


def test_without_an_error_there_is_none():
    data = make_grid()
    _, analysis = look(data, find_all(data))
    tide = analysis.errors.tide
    assert tide.counts == count_only() and all(gain == pytest.approx(0) for gain in tide.gains.values())
    assert analysis.errors.suspects == () and analysis.boundary.ap == pytest.approx(1)


def test_swapped_classes_are_errors_of_class():
    data = make_grid()
    rows = find_all(data)
    rows[3] = detect(data, data["annotations"][3], category=1)
    _, analysis = look(data, rows)
    assert analysis.errors.tide.counts == count_only(**{"class": 1})
    assert analysis.errors.tide.gains["class"] > 0.01 > analysis.errors.tide.gains["location"]


def test_shifted_boxes_are_errors_of_location():
    data = make_grid()
    rows = find_all(data)
    for place in (0, 5):
        rows[place] = detect(data, data["annotations"][place], shift=SIDE / 2)
    _, analysis = look(data, rows)
    assert analysis.errors.tide.counts == count_only(location=2)


def test_doubles_ghosts_and_missed_objects_are_told_apart():
    data = make_grid()
    rows = [*find_all(data)[2:], detect(data, data["annotations"][5], score=0.8)]
    far = data["annotations"][6] | {"bbox": [0, 82, SIDE, SIDE]}
    rows.append(detect(data, far, score=0.7))
    _, analysis = look(data, rows)
    assert analysis.errors.tide.counts == count_only(missed=2, duplicate=1, background=1)


def test_a_removed_annotation_is_suspected_to_be_missing():
    data = make_grid()
    rows = find_all(data)
    gone = data["annotations"].pop(9)
    annotations, analysis = look(data, rows)
    (suspect,) = analysis.errors.suspects
    assert suspect.kind == "missing annotation" and suspect.row == 9 and suspect.annotation is None
    said = suspect.to_dict(annotations)
    assert (said["image_id"], said["file_name"], said["found"]) == (gone["image_id"], "2.png", "a")


def test_a_changed_class_is_suspected_and_named_by_its_annotation():
    data = make_grid()
    rows = find_all(data)
    data["annotations"][9]["category_id"] = 2
    annotations, analysis = look(data, rows)
    (suspect,) = analysis.errors.suspects
    said = suspect.to_dict(annotations)
    assert (said["kind"], said["annotation_id"], said["found"], said["annotated"]) == ("wrong label", 109, "a", "b")
    assert said["iou"] == pytest.approx(1)


def test_a_detection_of_a_low_score_casts_no_doubt():
    data = make_grid()
    rows = find_all(data, score=0.3)
    data["annotations"].pop(9)
    assert look(data, rows)[1].errors.suspects == ()


@pytest.mark.parametrize(("claimed", "error"), [(0.75, 0.0), (0.95, 0.2)])
def test_scores_that_are_right_as_often_as_they_say_have_no_calibration_error(claimed, error):
    data = make_grid()
    rows = [
        detect(data, row, score=claimed, shift=SIDE if place % 4 == 0 else 0) for place, row in enumerate(data["annotations"])
    ]
    _, analysis = look(data, rows)
    calibration = analysis.errors.calibration
    assert calibration.error == pytest.approx(error, abs=1e-9)
    assert calibration.bins == ((pytest.approx(claimed), pytest.approx(0.75), len(rows)),)


def test_each_class_has_the_score_that_parts_right_from_wrong():
    data = make_grid()
    rows = [detect(data, row, score=0.8 if row["category_id"] == 1 else 0.4) for row in data["annotations"]]
    rows += [detect(data, row, score=0.3, shift=SIDE) for row in data["annotations"] if row["category_id"] == 2]
    rows += [detect(data, row, score=0.7, shift=SIDE) for row in data["annotations"] if row["category_id"] == 1]
    _, analysis = look(data, rows)
    assert analysis.best_scores == ((0.8, 1.0), (0.4, 1.0))


def test_all_of_it_is_json_also_where_nothing_is_annotated_or_found():
    data = make_grid()
    rows = find_all(data)
    annotations, analysis = look(data, rows)
    assert json.loads(json.dumps(analysis.to_dict(annotations), allow_nan=False))["boundary"]["AP"] == pytest.approx(1)
    annotations, analysis = look(data, [])
    said = json.loads(json.dumps(analysis.to_dict(annotations), allow_nan=False))
    assert said["errors"]["tide"]["counts"]["missed"] == 32 and said["errors"]["calibration_error"] is None
    annotations, analysis = look(data | {"annotations": []}, rows)
    assert analysis.to_dict(annotations)["errors"] is None
