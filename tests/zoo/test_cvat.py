"""A function of CVAT by the rules that cvat-sdk's own driver checks, and nuclio's rows as CVAT reads them."""

import base64
import importlib.util
import json
import logging
from types import SimpleNamespace

import cvat_sdk.models as models
import numpy as np
import pytest
import yaml
from cvat_sdk.auto_annotation.driver import _AnnotationMapper, _DetectionFunctionContextImpl
from cvat_sdk.masks import decode_mask
from PIL import Image

from maskzoo.datasets.rle import rasterize_polygons
from maskzoo.errors import ArgumentError, ImageError
from maskzoo.weights.checkpoint import write_checkpoint
from maskzoo.zoo.cvat import Function, answer
from maskzoo.zoo.export_model import export
from networks import make_photo, small_config, small_network, small_predictor
from servers import encode

PHOTO = make_photo(60, 80, 1)  # with objects below the usual score as well


def detect(function, **context):
    return function.detect(_DetectionFunctionContextImpl(frame_name="a.png", **context), Image.fromarray(PHOTO))


def as_in_a_task(function, shapes, polygons=False, kind="mask"):
    """What cvat-sdk's driver makes of shapes, for a task whose labels have other numbers; it raises for what is not allowed."""
    labels = [
        models.Label(id=100 + label.id, name=label.name, type=kind, attributes=[], sublabels=[], color="#000000")
        for label in function.spec.labels
    ]
    mapper = _AnnotationMapper(
        logging.getLogger("cvat"), function.spec.labels, labels, allow_unmatched_labels=False, conv_mask_to_poly=polygons
    )
    return mapper.validate_and_remap(shapes, 7)[1]


def expected_objects():
    """Category id and mask of each object that has a pixel, the best first."""
    found = small_predictor().predict(PHOTO, score=0)
    rows = [(int(number), mask) for number, mask in zip(found.category_ids, found.masks.dense(), strict=True)]
    return [
        (number, mask) for place in np.argsort(-found.scores, kind="stable") for number, mask in [rows[place]] if mask.any()
    ]


def test_the_drivers_rules_hold_and_each_mask_is_that_of_an_object():
    function = Function(small_predictor())
    shapes = as_in_a_task(function, detect(function, conf_threshold=0.0))
    expected = expected_objects()
    assert len(shapes) == len(expected) > 2
    for shape, (number, mask) in zip(shapes, expected, strict=True):
        assert (shape.label_id, shape.frame, str(shape.type)) == (100 + number, 7, "mask")
        assert np.array_equal(decode_mask(shape.points, image_width=80, image_height=60), mask)


def test_polygons_of_one_object_are_a_group():
    function = Function(small_predictor())
    shapes = as_in_a_task(function, detect(function, conf_threshold=0.0, conv_mask_to_poly=True), True, "polygon")
    groups = {}
    for place, shape in enumerate(shapes):
        groups.setdefault(getattr(shape, "group", None) or f"alone {place}", []).append(shape)
    assert len(groups) == len(expected_objects()) < len(shapes)
    for parts, (number, mask) in zip(groups.values(), expected_objects(), strict=True):
        assert {part.label_id for part in parts} == {100 + number}
        drawn = rasterize_polygons([np.array(part.points) for part in parts], (60, 80)) > 0
        assert (drawn & mask).sum() / (drawn | mask).sum() > 0.98


def test_the_threshold_of_the_task_is_kept():
    function = Function(small_predictor())
    scores = small_predictor().predict(PHOTO, score=0).scores
    assert scores.min() < 0.5
    assert len(detect(function, conf_threshold=0.6)) <= (scores >= 0.6).sum() < len(detect(function, conf_threshold=0.0))
    assert len(detect(function)) == len(detect(function, conf_threshold=0.5))


def test_nuclios_rows_have_the_pixels_of_each_object():
    rows = answer(small_predictor(), {"image": base64.b64encode(encode(PHOTO)).decode(), "threshold": 0})
    assert len(rows) == len(expected_objects())
    names = small_predictor().config.classes
    for row, (number, mask) in zip(rows, expected_objects(), strict=True):
        *pixels, left, top, right, bottom = row["mask"]
        found = np.zeros((60, 80), bool)
        found[top : bottom + 1, left : right + 1] = np.reshape(pixels, (bottom - top + 1, right - left + 1))
        assert np.array_equal(found, mask) and (row["label"], row["type"]) == (names[number], "mask")
        assert 0 <= float(row["confidence"]) <= 1 and len(row["points"]) >= 6
    json.dumps(rows)


@pytest.mark.parametrize(
    ("body", "error"), [({}, ArgumentError), ({"image": 7}, ArgumentError), ({"image": "AA=="}, ImageError)]
)
def test_a_request_without_a_picture_is_refused(body, error):
    with pytest.raises(error):
        answer(small_predictor(), json.dumps(body))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    config = small_config()
    model = tmp_path_factory.mktemp("model") / "Small Model.safetensors"
    write_checkpoint(model, small_network(config).state_dict(), config, {})
    out = model.with_name("function")
    assert export(model, out, to="cvat").to_dict()["file"] == str(out / "model.safetensors")
    return out


def read(path):
    spec = importlib.util.spec_from_file_location(f"written_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_written_folder_is_a_function_for_cvat_cli(folder):
    module = read(folder / "auto_annotation.py")
    assert len(detect(module, conf_threshold=0.0)) == len(expected_objects())


def test_the_written_folder_is_a_function_for_nuclio(folder, monkeypatch):
    function = yaml.safe_load((folder / "function.yaml").read_text())
    assert function["metadata"]["name"] == "maskzoo-small-model" and function["metadata"]["annotations"]["type"] == "detector"
    labels = json.loads(function["metadata"]["annotations"]["spec"])
    assert {one["id"]: one["name"] for one in labels} == small_config().classes and labels[0]["type"] == "mask"
    module = read(folder / function["spec"]["handler"].replace(":handler", ".py"))
    load = module.maskzoo.load
    monkeypatch.setattr(module.maskzoo, "load", lambda path: load(folder / path.removeprefix("/opt/nuclio/")))
    context = SimpleNamespace(user_data=SimpleNamespace(), Response=lambda **fields: fields)
    module.init_context(context)
    body = {"image": base64.b64encode(encode(PHOTO)).decode(), "threshold": 0.0}
    found = module.handler(context, SimpleNamespace(body=body))
    assert found["status_code"] == 200 and len(json.loads(found["body"])) == len(expected_objects())
    refused = module.handler(context, SimpleNamespace(body={"image": "AAAA"}))
    assert refused["status_code"] == 400 and "image" in json.loads(refused["body"])
