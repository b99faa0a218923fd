"""Rows of annotations and results that are wrong in every way: each is named with file, row and field, or is used safely."""

import collections
import json
import os

import numpy as np
import pytest
from PIL import Image

import maskzoo
from hostile_annotations import HEIGHT, IMAGES, WIDTH, make_results, make_tables, make_text
from maskzoo.dataset_checks.split_checks import check_annotations
from maskzoo.datasets.coco_reader import pack_annotations, read_annotations, read_json
from maskzoo.datasets.rle import decode_runs
from maskzoo.errors import AnnotationsError
from maskzoo.evaluation.analysis import analyze
from maskzoo.evaluation.boundary import score_boundaries
from maskzoo.evaluation.metrics import compute_metrics
from maskzoo.evaluation.overlaps import encode_outline
from maskzoo.evaluation.results import check_results, read_results
from watched import is_alone, needs_fork, watch

COUNT = int(os.environ.get("MASKZOO_ROWS", "100000"))
SEED = 26
WHOLE = ("duplicate-annotation", "image-without-objects", "category-without-objects")
ROWS = 200  # in a file, whose outcomes are told apart by their places


def check_fault(fault, path):
    """Assert that a fault says where it is, on one line that a terminal can show; of the whole row only some codes are."""
    text = str(fault)
    assert text.isprintable() and text.startswith(str(path)), text
    assert not fault.table or (fault.row is not None or fault.place is not None), text
    assert fault.field or fault.code in WHOLE, text
    json.dumps(fault.to_dict())


def try_rows(folder, number):
    """Read a file of hostile rows and one of hostile results, check, repair, draw and score what is sound of them."""
    path = folder / "a.json"
    table, data = make_tables(number, SEED, ROWS)
    path.write_text(json.dumps(data))
    told, sifted = check_annotations(read_json(path), str(path), "")
    for fault in told:
        check_fault(fault, path)
    try:
        read_annotations(path)
        assert sifted.faults == []
    except AnnotationsError as error:
        assert {*map(str, error.faults)} <= {*map(str, sifted.faults)}
    packed = sifted.packed
    named = {fault.place for fault in sifted.faults if fault.table == table}
    sound = {
        "annotations": lambda: {*sifted.annotation_places.tolist()},
        "images": lambda: {*sifted.image_places.tolist()},
        "categories": lambda: {place for place, row in enumerate(data[table]) if _has_class(row, packed)},
    }[table]()
    assert named | sound == {*range(ROWS)}, f"neither named nor used: {table} at {sorted({*range(ROWS)} - named - sound)[:5]}"
    side = packed.sizes[packed.image_index][:, ::-1].max(axis=1)
    assert (np.abs(packed.bbox).max(axis=1, initial=0) <= 3 * side).all() and np.isfinite(packed.area).all()
    assert (np.abs(packed.polygons.values) <= 2 * max(WIDTH, HEIGHT)).all()  # False for a NaN
    for row in range(len(packed.ids)):
        outline = encode_outline(packed, row)
        assert decode_runs(outline["counts"], outline["size"]).shape == tuple(outline["size"])
    rows = make_results(number, SEED, ROWS)
    results, wrong = take_sound(rows, packed, folder / "results.json")
    score(packed, results)
    if number % 10 == 0:
        repair(path, folder / f"fixed-{number}.json")
    return {"rows": 2 * ROWS, "named": len(named) + wrong, "used": len(sound - named) + len(results)}


def _has_class(row, packed):
    return isinstance(row, dict) and type(row.get("id")) is int and row["id"] in packed.classes.ids


def take_sound(rows, packed, path):
    """Return the results without the rows that the reader names, and how many it named; once those are gone it takes all."""
    path.write_text(json.dumps(rows))
    try:
        return read_rows(rows, packed, path), 0
    except AnnotationsError as error:
        for fault in error.faults:
            check_fault(fault, path)
        named = {fault.place for fault in error.faults}
    left = [row for place, row in enumerate(rows) if place not in named]
    path.write_text(json.dumps(left))
    results = read_rows(left, packed, path)
    assert len(results) == len(left)
    return results, len(named)


def read_rows(rows, packed, path):
    """Read results from their file; those that cannot belong to these images are checked as rows alone."""
    try:
        return read_results(path, packed)
    except AnnotationsError as error:
        if any(fault.table for fault in error.faults):
            raise
    return check_results(rows, packed, str(path))


def score(packed, results):
    assert np.isfinite(results.scores).all() and np.isfinite(results.boxes).all() and (results.boxes[:, 2:] >= 0).all()
    evaluation = compute_metrics(packed, results)
    for metrics in evaluation.kinds.values():
        assert all(value is None or 0 <= value <= 1 for value in metrics.values)
    json.dumps(evaluation.to_dict(packed.classes), allow_nan=False)
    analyze(packed, results)
    if results.has_masks:
        score_boundaries(packed, results)


def repair(path, out):
    """Have the file repaired; what is written then has no fault that a reader names."""
    for place in range(IMAGES):
        Image.fromarray(np.full((HEIGHT, WIDTH, 3), 60 * place, np.uint8)).save(path.parent / f"{place}.png")
    report = maskzoo.check_dataset(path, fix=out, duplicates=False)
    for fault in report.problems:
        check_fault(fault, path)
    if out.exists():
        read_annotations(out)


def try_text(folder, number):
    """Read a small damaged file as annotations and as results: both readers of each agree, or one error names the file."""
    path = folder / "a.json"
    path.write_bytes(make_text(number, SEED))
    for read in (read_annotations, lambda path: read_results(path, read_annotations(write_truth(folder)))):
        try:
            found = read(path)
        except AnnotationsError as error:
            assert error.faults and all(str(fault).startswith(str(folder)) for fault in error.faults)
            continue
        if read is read_annotations:
            slow = pack_annotations(read_json(path), str(path))
            assert np.array_equal(found.bbox, slow.bbox) and np.array_equal(found.polygons.values, slow.polygons.values)
            assert np.array_equal(found.ids, slow.ids) and found.classes == slow.classes
            return "read"
    return "refused"


def write_truth(folder):
    path = folder / "truth.json"
    if not path.exists():
        data = make_tables(0, SEED, 0)[1]
        box, polygon = [1, 1, 20, 20], [1, 1, 21, 1, 21, 21, 1, 21]
        rows = [
            {"id": place, "image_id": place, "category_id": place, "bbox": box, "area": 400, "segmentation": [polygon]}
            for place in range(3)
        ]
        data["images"] = [
            {"id": place, "file_name": f"{place}.png", "height": HEIGHT, "width": WIDTH} for place in range(IMAGES)
        ]
        data["categories"] = [{"id": place, "name": f"class {place}"} for place in range(4)]
        path.write_text(json.dumps(data | {"annotations": rows}))
    return path


@needs_fork
def test_hostile_rows_are_named_or_used(request, tmp_path):
    if not is_alone(request):
        return
    answers = watch(lambda number: try_rows(tmp_path, number), 4, tmp_path)
    assert sum(answer["named"] for answer in answers) > 400 and sum(answer["used"] for answer in answers) > 200


@needs_fork
def test_damaged_texts_are_refused_with_their_file(request, tmp_path):
    if not is_alone(request):
        return
    answers = collections.Counter(watch(lambda number: try_text(tmp_path, number), 80, tmp_path))
    assert min(answers["read"], answers["refused"]) > 4


@needs_fork
@pytest.mark.reliability
def test_very_many_hostile_rows(request, tmp_path):
    if not is_alone(request):
        return
    answers = watch(lambda number: try_rows(tmp_path, number), COUNT // (2 * ROWS), tmp_path)
    print({key: sum(answer[key] for answer in answers) for key in ("rows", "named", "used")})


@needs_fork
@pytest.mark.reliability
def test_many_damaged_texts(request, tmp_path):
    if not is_alone(request):
        return
    print(collections.Counter(watch(lambda number: try_text(tmp_path, number), COUNT // 20, tmp_path)))
