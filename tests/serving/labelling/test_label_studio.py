"""Requests as Label Studio 1.23 sends them (`label_studio/ml/api_connector.py`), and answers as it reads them."""

import base64

import numpy as np
import pytest

from maskzoo import LabelStudio
from maskzoo.datasets.importers.brush_mask import decode_brush
from maskzoo.datasets.rle import rasterize_polygons
from networks import small_predictor
from servers import running, some_photo

NAMES = ("person", "car", "train", "dog", "toothbrush")
FOLDER = "/data/local-files/?d="


def interface(*kinds, names=NAMES):
    labels = "".join(f'<Label value="{name}"/>' for name in names)
    controls = "".join(f'<{kind} name="{kind}" toName="img">{labels}</{kind}>' for kind in kinds)
    return f'<View><Image name="img" value="$image" zoom="true"/>{controls}</View>'


def uri(content):
    return "data:image/png;base64," + base64.b64encode(content).decode()


def question(text, *images):
    tasks = [{"id": place, "data": {"image": image}, "project": 1, "meta": {}} for place, image in enumerate(images)]
    params = {"login": None, "password": None, "context": None}
    return {"tasks": tasks, "project": "1.1700000000", "label_config": text, "params": params}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("media")
    for seed in range(5):
        (root / f"{seed}.png").write_bytes(some_photo(60, 80, seed))
    return root


@pytest.fixture(scope="module")
def http(root):
    with running(label_studio=LabelStudio(root, score=0.0), max_batch=2) as server, server.http() as http:
        yield http


def test_each_object_is_a_brush_of_its_pixels(http):
    content = some_photo()
    expected = small_predictor().predict(content, score=0)
    answer = http.post("/predict", json=question(interface("BrushLabels"), uri(content))).json()
    (found,) = answer["results"]
    assert (found["model_version"], answer["failed"], answer["left_out"]) == (
        "small",
        0,
        int((expected.masks.area() == 0).sum()),
    )
    masks = expected.masks.dense()
    assert len(found["result"]) > 2 and found["score"] == pytest.approx(np.mean([row["score"] for row in found["result"]]))
    for row in found["result"]:
        place = int(row["id"]) - 1
        assert (row["from_name"], row["to_name"], row["type"]) == ("BrushLabels", "img", "brushlabels")
        assert (row["original_height"], row["original_width"], row["image_rotation"]) == (60, 80, 0)
        assert row["value"]["brushlabels"] == [expected.names[place]] and row["score"] == float(expected.scores[place])
        assert np.array_equal(decode_brush(row["value"]["rle"], (60, 80)) > 0, masks[place])


def test_where_there_are_no_brushes_each_object_is_one_polygon(http):
    content = some_photo()
    masks = small_predictor().predict(content, score=0).masks.dense()
    (found,) = http.post("/predict", json=question(interface("PolygonLabels"), uri(content))).json()["results"]
    assert len({row["id"] for row in found["result"]}) == len(found["result"]) > 2
    for row in found["result"]:
        points = np.array(row["value"]["points"]) * [0.8, 0.6]  # per cent of 80 x 60 pixels
        drawn, mask = rasterize_polygons([points.ravel()], (60, 80)) > 0, masks[int(row["id"]) - 1]
        assert (drawn & mask).sum() / (drawn | mask).sum() > 0.98


def test_where_there_are_rectangles_alone_each_object_is_its_box(http):
    content = some_photo()
    boxes = small_predictor().predict(content, score=0).boxes
    (found,) = http.post("/predict", json=question(interface("RectangleLabels"), uri(content))).json()["results"]
    assert len(found["result"]) == len(boxes)
    for row in found["result"]:
        x, y, width, height = (row["value"][key] for key in ("x", "y", "width", "height"))
        corners = np.array([x, y, x + width, y + height]) * [0.8, 0.6, 0.8, 0.6]
        assert corners == pytest.approx(boxes[int(row["id"]) - 1], abs=1e-4)


def test_classes_that_the_interface_lacks_are_left_out_and_counted(http):
    content = some_photo()
    everything = http.post("/predict", json=question(interface("RectangleLabels"), uri(content))).json()["results"][0]["result"]
    text = interface("RectangleLabels", names=("Dog", "tree"))
    answer = http.post("/predict", json=question(text, uri(content))).json()
    kept = answer["results"][0]["result"]
    assert {row["value"]["rectanglelabels"][0] for row in kept} == {"Dog"}
    assert 0 < answer["left_out"] == len(everything) - len(kept) and "tree" in answer["note"] and "train" in answer["note"]


def test_many_tasks_are_answered_in_their_order_and_one_without_a_picture_fails_alone(http):
    images = [FOLDER + "0.png", FOLDER + "none.png", FOLDER + "1.png", uri(b"junk"), 7, FOLDER + "2.png"]
    answer = http.post("/predict", json=question(interface("RectangleLabels"), *images)).json()
    results = answer["results"]
    assert answer["failed"] == 3 and ["result" in one for one in results] == [True, False, True, False, False, True]
    assert "not found" in results[1]["error"] and "not an image" in results[3]["error"] and "'image'" in results[4]["error"]
    for place, seed in ((0, 0), (2, 1), (5, 2)):
        expected = small_predictor().predict(some_photo(60, 80, seed), score=0)
        assert [row["score"] for row in results[place]["result"]] == pytest.approx(expected.scores.tolist(), abs=1e-4)


def test_more_tasks_than_the_queue_has_places_are_done_one_after_another(root):
    text = interface("RectangleLabels")
    with running(label_studio=LabelStudio(root), max_queue=1) as server, server.http() as http:
        answer = http.post("/predict", json=question(text, *(f"{FOLDER}{seed}.png" for seed in range(5))))
        assert answer.json()["failed"] == 0 and len(answer.json()["results"]) == 5
        assert server.service.slots.taken == 0


def test_connecting_a_project_tells_the_version_and_what_is_not_shared(http):
    assert http.get("/health").json() == {"status": "UP", "model_class": "small"}
    body = {"project": "1.17", "schema": interface("BrushLabels", names=("dog", "tree")), "hostname": "http://localhost:8080"}
    body |= {"access_token": "secret", "extra_params": None}
    found = http.post("/setup", json=body).json()
    assert found["model_version"] == "small" and "tree" in found["note"]
    assert http.post("/setup", json={"project": "1.17", "schema": interface("BrushLabels")}).json() == {
        "model_version": "small"
    }
    assert http.post("/webhook", json={"action": "ANNOTATION_CREATED", "task": {}}).json() == {"status": "ignored"}


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/setup", {"project": "1"}, "schema: Field required"),
        ("/setup", {"schema": "<View/>"}, "expected <Image>"),
        ("/setup", {"schema": "<!DOCTYPE a><View/>"}, "document type"),
        ("/predict", {"tasks": []}, "label_config: Field required"),
        ("/predict", {"tasks": [{}], "label_config": ""}, "tasks.0.data"),
        ("/predict", question(interface("BrushLabels", names=("tree",))), "no class in common"),
        ("/webhook", [], "should be an object"),
    ],
)
def test_a_request_of_another_form_is_refused_with_a_reason(http, path, body, words):
    answer = http.post(path, json=body)
    assert answer.status_code == 422 and words in answer.json()["detail"]
    assert http.post(path, content=b"{}").status_code == 415


def test_without_the_setting_there_is_no_such_address():
    with running() as server, server.http() as http:
        assert http.post("/predict", json={}).status_code == http.get("/health").status_code == 404


def test_the_token_may_come_as_the_password_that_label_studio_sends():
    token = "a-token-of-some-length"
    with running(label_studio=LabelStudio(), tokens=[token]) as server, server.http() as http:
        assert http.get("/health").status_code == 401
        assert http.get("/health", auth=("anyone", "another-token-of-some")).status_code == 401
        assert http.get("/health", auth=("anyone", token)).status_code == 200
