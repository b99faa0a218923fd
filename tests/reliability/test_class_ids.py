"""Class ids in any layout, with gaps, in any order, from 0 or huge: names and AP are the same, from the data to the answer."""

import json
import os
import random

import numpy as np
import pytest
import torch

import maskzoo
from coco_files import disturb, make_data
from maskzoo.datasets.classes import ClassMap, match_classes
from maskzoo.datasets.coco_reader import pack_annotations
from maskzoo.evaluation.metrics import compute_metrics
from maskzoo.evaluation.results import check_results
from maskzoo.serving.schema import MaskKind, PredictionAnswer, make_answer
from maskzoo.weights.checkpoint import write_checkpoint
from maskzoo.zoo.first_weights import LAST_LAYERS, make_first_weights
from networks import FPN, THIN, make_photo, small_config, small_network
from small_runs import write_data

COUNT = int(os.environ.get("MASKZOO_LAYOUTS", "10000"))
SEED = 26
RANGES = ((0, 6), (1, 91), (0, 2**31), (2**53, 2**63 - 1))  # below zero they are refused


def draw_layout(names, draw):
    """Return an id of its own for each name, in any order."""
    low, high = draw.choice(RANGES)
    ids = set()
    while len(ids) < len(names):
        ids.add(draw.randint(low, high))
    numbers = list(ids)
    draw.shuffle(numbers)
    return dict(zip(numbers, draw.sample(names, len(names)), strict=True))


def find_id(layout, name):
    return next(number for number, own in layout.items() if own == name)


def renumber(content, layout):
    """Return a COCO file's content with the same objects under other ids."""
    old = {row["id"]: row["name"] for row in content["categories"]}
    rows = [row | {"category_id": find_id(layout, old[row["category_id"]])} for row in content["annotations"]]
    return content | {"categories": [{"id": n, "name": name} for n, name in layout.items()], "annotations": rows}


def tell(evaluation, classes):
    """What an evaluation says, by class name."""
    found = evaluation.to_dict(classes)
    rows = {row["name"]: {key: value for key, value in row.items() if key != "id"} for row in found["classes"]}
    return [found["box"], found["mask"]], [rows[name] for name in sorted(rows)]


def assert_near(found, expected):
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        found, expected = list(found.values()), list(expected.values())
    if isinstance(expected, list | tuple):
        assert len(found) == len(expected)
        for pair in zip(found, expected, strict=True):
            assert_near(*pair)
    elif isinstance(expected, float):  # the mean over classes is summed in their order
        assert found == pytest.approx(expected, rel=0, abs=1e-12)
    else:
        assert found == expected


def evaluate_layouts(count):
    """The same objects and detections in so many layouts of data and model: names and numbers stay."""
    content = make_data(images=2, objects=5, ids=(0, 1, 2, 3))
    rows, names = disturb(content, 2, false=6), [row["name"] for row in content["categories"]]
    plain = pack_annotations(content, "a.json")
    expected = tell(compute_metrics(plain, check_results(rows, plain, "rows.json")), plain.classes)
    order, draw = [names[label] for label in plain.labels], random.Random(SEED)
    for _ in range(count):
        layout, model = draw_layout(names, draw), draw_layout(names, draw)
        annotations = pack_annotations(json.loads(json.dumps(renumber(content, layout))), "a.json")
        assert annotations.classes.to_classes() == layout
        assert [annotations.classes.names[label] for label in annotations.labels] == order
        match = match_classes(ClassMap.from_classes(model), annotations.classes, "model", "data")
        assert [annotations.classes.names[label] for label in match.labels] == list(model.values())
        given = [row | {"category_id": find_id(layout, names[row["category_id"]])} for row in rows]
        results = check_results(json.loads(json.dumps(given)), annotations, "rows.json")
        assert_near(tell(compute_metrics(annotations, results), annotations.classes), expected)


def test_names_and_ap_are_the_same_in_any_layout():
    evaluate_layouts(20)


@pytest.mark.reliability
def test_thousands_of_layouts():
    evaluate_layouts(COUNT)


NAMES = ["square", "disk", "kite", "cup"]
PLAIN = dict(enumerate(NAMES))


def permute(tensors, layout):
    """Return weights whose last layers know the same classes in the order of another layout."""
    order, changed = [NAMES.index(name) for name in layout.values()], dict(tensors)
    for name, tensor in tensors.items():
        for layer, rows in LAST_LAYERS.items():
            if f".{layer}." in name:
                blocks = tensor[: rows * len(NAMES)].unflatten(0, (len(NAMES), rows))[order].flatten(0, 1)
                changed[name] = torch.cat([blocks, tensor[rows * len(NAMES) :]])
    return changed


def describe(prediction):
    """Name, score and box of each object, the surest first."""
    rows = zip(prediction.names, prediction.scores.tolist(), prediction.boxes.tolist(), strict=True)
    return sorted(rows, key=lambda row: -row[1])


def assert_same_objects(found, expected):
    assert [row[0] for row in found] == [row[0] for row in expected]
    np.testing.assert_allclose([row[1] for row in found], [row[1] for row in expected], atol=1e-5)
    np.testing.assert_allclose([row[2] for row in found], [row[2] for row in expected], atol=1e-2)


def follow_models(folder, count, exported=0):
    """Save, load, predict, answer, evaluate and start training with models in so many layouts; `exported` of them as ONNX."""
    config = small_config(FPN, *THIN, "limits.detections.score=0.0")
    config = config.model_copy(update={"classes": PLAIN})
    weights, photo, draw = small_network(config).state_dict(), make_photo(60, 90), random.Random(SEED)
    write_checkpoint(folder / "plain.safetensors", weights, config, {"source": "random"})
    expected = describe(maskzoo.load(folder / "plain.safetensors", device="cpu").predict(photo, score=0))
    assert len({name for name, _, _ in expected}) > 1
    data = write_data(folder / "data", train=0, val=2)
    content = json.loads((data / "val.json").read_text())
    measured = maskzoo.evaluate(folder / "plain.safetensors", data / "val.json", images=data / "val", device="cpu")
    truth = tell(measured.evaluation, measured.annotations.classes)
    for number in range(count):
        layout, path = draw_layout(NAMES, draw), folder / "other.safetensors"
        other = config.model_copy(update={"classes": layout})
        write_checkpoint(path, permute(weights, layout), other, {"source": "random"})
        files = [path]
        if number < exported:
            files.append(folder / f"{number}.onnx")
            maskzoo.export(path, files[-1])
        for file in files:
            predictor = maskzoo.load(file, device="cpu")
            found = predictor.predict(photo, score=0)
            assert_same_objects(describe(found), expected)
            assert [layout[number] for number in found.category_ids.tolist()] == list(found.names)
            answer = PredictionAnswer.model_validate(make_answer(found, MaskKind.rle, "1", "other"))
            assert [(one.name, one.category_id) for one in answer.detections] == [
                (name, find_id(layout, name)) for name in found.names
            ]
        begun = make_first_weights(other, folder / "plain.safetensors", seed=0).model.state_dict()
        assert all(torch.equal(begun[name], tensor) for name, tensor in permute(weights, layout).items())
        moved = renumber(content, draw_layout(["square", "disk"], draw))
        (data / "val.json").write_text(json.dumps(moved))
        measured = maskzoo.evaluate(path, data / "val.json", images=data / "val", device="cpu")
        assert_near(tell(measured.evaluation, measured.annotations.classes), truth)


def test_a_model_in_any_layout_finds_says_and_begins_with_the_same(tmp_path):
    follow_models(tmp_path, 1)


@pytest.mark.reliability
def test_many_models_and_exported_files(tmp_path):
    follow_models(tmp_path, max(COUNT // 200, 2), exported=2)
