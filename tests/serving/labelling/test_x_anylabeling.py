"""Requests as X-AnyLabeling 4 sends them (`services/auto_labeling/remote_server.py`), and answers as it reads them."""

import base64
import json

import numpy as np
import pytest

from maskzoo.datasets.rle import rasterize_polygons
from networks import small_predictor
from servers import running, some_photo

MODELS, PREDICT = "/x-anylabeling/v1/models", "/x-anylabeling/v1/predict"


@pytest.fixture(scope="module")
def http():
    with running() as server, server.http() as http:
        yield http


def question(content, **params):
    image = "data:image/png;base64," + base64.b64encode(content).decode()
    params = {"iou_threshold": 0.0, "epsilon_factor": 0.001, "conf_threshold": 0.0} | params
    return {"model": "small", "image": image, "params": params}


def test_the_program_is_told_the_models_their_classes_and_which_controls_to_show(http):
    answer = http.get(MODELS).json()
    assert answer["success"] is True
    facts = answer["data"]["small"]
    assert facts["classes"] == ["person", "car", "train", "dog", "toothbrush"] and facts["display_name"] == "small"
    controls = {one["name"]: one["value"] for one in facts["widgets"]}
    assert "button_run" in controls and 0 <= controls["edit_conf"] <= 1


def test_each_object_is_polygons_of_one_group(http):
    content = some_photo()
    expected = small_predictor().predict(content, score=0)
    masks = {float(score): mask for score, mask in zip(expected.scores, expected.masks.dense(), strict=True)}
    answer = http.post(PREDICT, json=question(content)).json()
    assert answer["success"] is True
    shapes = answer["data"]["shapes"]
    assert {one["shape_type"] for one in shapes} == {"polygon"}
    parts = {}
    for one in shapes:
        parts.setdefault(one["score"], []).append(one)
    assert any(len(one) > 1 for one in parts.values())
    assert set(parts) == {score for score, mask in masks.items() if mask.any()}
    for score, of_one in parts.items():
        assert len({one["group_id"] for one in of_one}) == 1 and (of_one[0]["group_id"] is None) == (len(of_one) == 1)
        drawn = rasterize_polygons([np.ravel(one["points"]) for one in of_one], (60, 80)) > 0
        assert (drawn & masks[score]).sum() / (drawn | masks[score]).sum() > 0.98


def test_the_programs_threshold_and_classes_choose_objects(http):
    everything = http.post(PREDICT, json=question(some_photo())).json()["data"]["shapes"]
    sure = http.post(PREDICT, json=question(some_photo(), conf_threshold=0.6)).json()["data"]["shapes"]
    cars = http.post(PREDICT, json=question(some_photo(), filter_classes=["car"])).json()["data"]["shapes"]
    same = http.post(PREDICT, json=question(some_photo(), filter_classes=[])).json()["data"]["shapes"]
    assert 0 < len(sure) < len(everything) and min(one["score"] for one in sure) >= 0.6
    assert {one["label"] for one in cars} == {"car"} and same == everything


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"model": "smal"}, 404, "did you mean small"),
        ({"image": "http://127.0.0.1:9/a.png"}, 422, "data URI"),
        ({"image": "data:image/png;base64,AAAA"}, 422, "not an image"),
        ({"params": {"filter_classes": ["cat"]}}, 422, "has no class 'cat'"),
        ({"params": {"conf_threshold": 2}}, 422, "conf_threshold"),
    ],
)
def test_what_cannot_be_predicted_is_refused_with_a_reason(http, change, status, words):
    answer = http.post(PREDICT, json=question(some_photo()) | change)
    assert answer.status_code == status and words in answer.json()["detail"]
    assert http.post(PREDICT, content=json.dumps(question(some_photo()))).status_code == 415


def test_the_token_may_come_in_the_programs_own_header():
    token = "a-token-of-some-length"
    with running(tokens=[token]) as server, server.http() as http:
        assert http.get(MODELS, headers={"Token": ""}).status_code == 401
        assert http.get(MODELS, headers={"Token": token + "x"}).status_code == 401
        assert http.get(MODELS, headers={"Token": token}).status_code == 200
