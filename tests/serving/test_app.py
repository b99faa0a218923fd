import base64
import io
import json
import logging
import statistics
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
from PIL import Image

from descriptions import check_description
from maskzoo import LabelStudio
from maskzoo.errors import ArgumentError
from maskzoo.serving import app
from maskzoo.serving.app import create_app
from maskzoo.serving.gate import hash_tokens
from maskzoo.serving.metrics import LOG
from networks import make_photo, small_predictor
from servers import encode, post, running, some_photo

TOKEN = "a-token-of-some-length"


@pytest.fixture(scope="module")
def server():
    with running({"small": small_predictor(), "other": small_predictor("mask_rcnn_r50_fpn_1x_coco", *RENAMED)}) as server:
        yield server


RENAMED = ("classes={1: person, 3: car, 7: train, 18: cat, 90: toothbrush}",)


@pytest.fixture(scope="module")
def http(server):
    with server.http() as http:
        yield http


def problem(answer, status):
    """The problem of an answer, which must be one."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json()
    assert found["status"] == status and found["id"] == answer.headers["x-request-id"]
    for secret in ("Traceback", ".py", sys.prefix, str(Path.cwd()), "/tmp"):
        assert secret not in answer.text
    return found["detail"]


def test_the_page_and_its_files_need_no_token_and_load_nothing_from_elsewhere():
    with running({"small": small_predictor()}, tokens=[TOKEN]) as server, server.http() as http:
        for path, kind in (("/", "text/html"), ("/page/page.js", "text/javascript"), ("/page/predictor.js", "text/javascript")):
            answer = http.get(path)
            assert answer.status_code == 200 and answer.headers["content-type"].startswith(kind)
            assert answer.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; ")
        for path in ("/page/none.js", "/page/worker.js", "/page/../app.py"):
            assert http.get(path).status_code in (401, 404)
        problem(http.get("/v1/models"), 401)


def test_an_answer_is_what_the_predictor_finds(http):
    content = some_photo()
    expected = small_predictor().predict(content, score=0)
    answer = post(http, content, score=0)
    found = answer.json()
    assert answer.status_code == 200 and found["model"] == "small" and found["id"] == answer.headers["x-request-id"]
    assert [row["box"] for row in found["detections"]] == expected.boxes.tolist()
    assert [row["score"] for row in found["detections"]] == expected.scores.tolist()
    assert [row["segmentation"] for row in found["detections"]] == expected.masks.rle()
    assert [row["area"] for row in found["detections"]] == expected.masks.area().tolist()
    assert (found["height"], found["width"]) == expected.size


def test_a_photo_may_be_the_body_or_in_a_form(http):
    content = encode(make_photo(60, 80), "JPEG")
    raw = http.post("/v1/predict", content=content, headers={"Content-Type": "image/jpeg"}).json()
    untyped = http.post("/v1/predict", content=content).json()
    form = http.post("/v1/predict", files={"image": ("a.jpg", content, "image/jpeg")}).json()
    assert raw["detections"] == untyped["detections"] == form["detections"] != []


def test_score_and_classes_choose_objects(http):
    everything = post(http, some_photo(), score=0).json()["detections"]
    sure = post(http, some_photo(), score=0.6).json()["detections"]
    two = http.post("/v1/predict?score=0&classes=car&classes=person", content=some_photo()).json()["detections"]
    assert sure == [row for row in everything if row["score"] >= 0.6]
    assert two == [row for row in everything if row["name"] in ("car", "person")]
    assert 0 < len(sure) < len(everything) > len(two) > 0
    assert post(http, some_photo(), score=1).json()["detections"] == []


def test_masks_come_in_the_form_that_is_asked_for(http):
    dense = small_predictor().predict(some_photo()).masks.dense()
    rows = {kind: post(http, some_photo(), score=0, masks=kind).json()["detections"] for kind in ("png", "map", "none")}
    for mask, row in zip(dense, rows["png"], strict=True):
        with Image.open(io.BytesIO(base64.b64decode(row["segmentation"]["png"]))) as picture:
            part = np.array(picture)
        x, y = row["segmentation"]["x"], row["segmentation"]["y"]
        assert np.array_equal(mask[y : y + part.shape[0], x : x + part.shape[1]], part) and part.sum() == mask.sum()
    assert all(row["segmentation"]["side"] == 28 and "area" not in row for row in rows["map"])
    assert all("segmentation" not in row for row in rows["none"]) and len(rows["none"]) == len(dense)


@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_the_picture_may_be_drawn(http, kind):
    answer = post(http, some_photo(), answer=kind)
    assert answer.headers["content-type"] == f"image/{kind}"
    with Image.open(io.BytesIO(answer.content)) as picture:
        assert (picture.format, picture.size) == (kind.upper(), (80, 60))


def test_requests_choose_among_models(http):
    assert [(one["name"], one["default"]) for one in http.get("/v1/models").json()["models"]] == [
        ("small", True),
        ("other", False),
    ]
    names = {row["name"] for row in post(http, some_photo(), score=0, model="other").json()["detections"]}
    assert "cat" in names and "dog" not in names
    assert "did you mean other?" in problem(post(http, some_photo(), model="othr"), 404)
    assert "has no class 'dog'" in problem(post(http, some_photo(), model="other", classes="dog"), 422)


def test_a_poisoned_photo_of_a_batch_fails_alone(http):
    good = [some_photo(60, 80, seed) for seed in range(3)]
    files = [("image", good[0]), ("image", b"no photo"), ("image", good[1]), ("image", good[2][:200])]
    answer = http.post("/v1/predict/batch?score=0", files=files)
    found = answer.json()["results"]
    assert answer.status_code == 200
    assert ["detections" in one for one in found] == [True, False, True, False]
    assert found[1]["status"] == 422 and "not an image" in found[1]["detail"] and "truncated" in found[3]["detail"]
    expected = small_predictor().predict(good[1], score=0)
    assert [row["name"] for row in found[2]["detections"]] == list(expected.names)


def test_a_photo_of_a_batch_that_breaks_the_network_fails_alone(server, http, monkeypatch, caplog):
    good = [some_photo(64, 64, seed) for seed in range(7)]
    expected = http.post("/v1/predict/batch?score=0", files=[("image", one) for one in good]).json()["results"]
    predictor, seen = server.service.models["small"], []
    predict = predictor.predict_prepared

    def choke(photos):
        seen.append(len(photos))
        if any((photo.pixels == 255).all() for photo in photos):
            raise RuntimeError("/secret/path: white")
        return predict(photos)

    monkeypatch.setattr(predictor, "predict_prepared", choke)
    content = [*good[:3], encode(np.full((64, 64, 3), 255, np.uint8)), *good[3:]]
    answer = http.post("/v1/predict/batch?score=0", files=[("image", one) for one in content])
    found = answer.json()["results"]
    bad = found.pop(3)
    assert answer.status_code == 200 and "secret" not in answer.text
    assert (bad["status"], bad["id"]) == (500, answer.headers["x-request-id"])
    for one, right in zip(found, expected, strict=True):
        assert [row["name"] for row in one["detections"]] == [row["name"] for row in right["detections"]] != []
        boxes = [[row["box"] for row in some["detections"]] for some in (one, right)]
        assert np.allclose(*boxes, atol=1e-3)
    logged = [record for record in caplog.records if record.fields.get("id") == bad["id"] and record.exc_info]
    assert len(logged) == 1 and "/secret/path" in str(logged[0].exc_info[1])


def test_an_answer_with_a_number_that_is_none_fails_alone(http, monkeypatch):
    """JSON has no NaN: the photo whose answer would have one is told as a failure, its neighbours are answered."""
    make = app.make_answer
    broken = some_photo(50, 50)

    def break_one(prediction, *rest):
        answer = make(prediction, *rest)
        return answer | {"scale": [float("nan"), 1.0]} if prediction.size == (50, 50) else answer

    monkeypatch.setattr(app, "make_answer", break_one)
    found = http.post("/v1/predict/batch", files=[("image", some_photo()), ("image", broken)]).json()["results"]
    assert "detections" in found[0] and found[1]["status"] == 500


def test_what_a_sender_has_left_is_not_computed(server, monkeypatch):
    """Eight photos wait for a slow network; their sender leaves after the first batch has begun, and no other begins."""
    predictor, seen, begun = server.service.models["small"], [], threading.Event()
    predict = predictor.predict_prepared

    def slow(photos):
        seen.append(len(photos))
        begun.set()
        time.sleep(1)
        return predict(photos)

    monkeypatch.setattr(predictor, "predict_prepared", slow)
    files = [("image", some_photo(64, 64 if number % 2 else 96, number)) for number in range(8)]
    request = httpx.Request("POST", f"{server.address}/v1/predict/batch", files=files)
    body = request.read()
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    with server.connect() as connection:
        connection.sendall(f"POST /v1/predict/batch HTTP/1.1\r\n{head}\r\n".encode() + body)
        assert begun.wait(30)
    deadline = time.monotonic() + 30
    while server.service.slots.taken and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.service.slots.taken == 0
    time.sleep(1.5)
    assert len(seen) == 1


CUT = b'--a\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n' + some_photo()[:-9]


def test_a_form_is_not_read_in_the_encoding_that_it_names(http):
    """Python takes a second for a hundred kilobytes of Punycode, and a hundred times as long for ten times as much."""
    field = b'--a\r\nContent-Disposition: form-data; name="x"\r\n\r\n' + b"a" * 100_000 + b"-" + b"a" * 100_000 + b"\r\n"
    body = field * 8 + CUT + some_photo()[-9:] + b"\r\n--a--\r\n"
    start = time.process_time()
    headers = {"Content-Type": "multipart/form-data; boundary=a; charset=punycode"}
    assert http.post("/v1/predict", content=body, headers=headers).status_code == 200
    assert time.process_time() - start < 3


@pytest.mark.parametrize(
    ("content", "headers", "status", "words"),
    [
        (b"", {}, 422, "is empty"),
        (b"junk" * 9, {}, 422, "not an image"),
        (b"http://127.0.0.1:9/photo.png", {}, 422, "not an image"),
        (b"{}", {"Content-Type": "application/json"}, 415, "-F image=@photo.jpg"),
        (b"x", {"Content-Encoding": "gzip"}, 415, "compressed"),
        (b"x", {"Content-Type": "multipart/form-data"}, 422, "form cannot be read"),
        (b"x", {"Content-Type": "multipart/form-data; boundary=a"}, 422, "form"),
        (CUT, {"Content-Type": "multipart/form-data; boundary=a"}, 422, "ends before its last boundary"),
    ],
)
def test_what_is_no_photo_is_refused_with_a_reason(http, content, headers, status, words):
    assert words in problem(http.post("/v1/predict", content=content, headers=headers), status)


def test_json_of_too_many_values_is_refused_before_it_is_read(http):
    body = b'{"model":"small","image":"","more":[' + b"[]," * 500_001 + b"[]]}"
    answer = http.post("/x-anylabeling/v1/predict", content=body, headers={"Content-Type": "application/json"})
    assert "more than 1,000,000 values" in problem(answer, 413)


def test_forms_with_another_number_of_photos_are_refused(http):
    two = [("image", some_photo()), ("image", some_photo())]
    assert "2 files" in problem(http.post("/v1/predict", files=two), 422)
    assert "no file called image" in problem(http.post("/v1/predict/batch", files={"photo": b"x"}), 422)
    assert "expected a form" in problem(http.post("/v1/predict/batch", content=b"x"), 415)


@pytest.mark.parametrize("query", ["score=2", "score=nan", "score=x", "masks=all", "answer=gif"])
def test_a_parameter_out_of_range_is_refused_by_its_name(http, query):
    assert query.partition("=")[0] in problem(http.post(f"/v1/predict?{query}", content=some_photo()), 422)


def test_unknown_addresses_and_methods_are_problems_too(http):
    assert "nothing at this address" in problem(http.get("/v2"), 404)
    assert "nothing at this address" in problem(http.get("/live/"), 404)  # no redirect to whatever host it names
    answer = http.get("/v1/predict")
    problem(answer, 405)
    assert answer.headers["allow"] == "POST"


def test_the_id_of_a_caller_is_kept_if_it_is_a_plain_one(http):
    assert http.get("/live", headers={"X-Request-ID": "mine-1"}).headers["x-request-id"] == "mine-1"
    assert http.get("/live", headers={"X-Request-ID": "a b\x7f"}).headers["x-request-id"] != "a b\x7f"


def test_metrics_count_by_route_and_not_by_what_strangers_ask_for(http):
    post(http, some_photo())
    http.get("/made/up")
    text = http.get("/metrics").text
    assert 'maskzoo_requests_total{route="/v1/predict",status="200"}' in text
    assert 'maskzoo_batch_size_count{model="small"}' in text and 'stage="decode"' in text
    assert "made/up" not in text and "maskzoo_photos_under_way 0.0" in text


def test_the_log_has_a_line_of_each_request_under_its_id(http, caplog):
    with caplog.at_level(logging.INFO, LOG.name):
        found = post(http, some_photo()).headers["x-request-id"]
        time.sleep(0.1)
    fields = [record.fields for record in caplog.records if record.fields.get("id") == found]
    assert len(fields) == 1 and fields[0]["status"] == 200 and fields[0]["model"] == "small" and fields[0]["objects"] > 0
    json.dumps(fields)


def test_a_form_that_cannot_be_read_leaves_no_line_in_the_log_that_is_no_json():
    """The reader of forms warns of each by itself, where nobody has said how."""
    program = """if True:
        import asyncio, logging
        from starlette.requests import Request
        from maskzoo.errors import RequestError
        from maskzoo.serving.limits import Limits, Slots
        from maskzoo.serving.metrics import log_as_json, write_log
        from maskzoo.serving.uploads import read_photos

        async def receive():
            return {"type": "http.request", "body": b"--b\\r\\nbroken", "more_body": False}

        log_as_json()
        headers = [(b"content-type", b"multipart/form-data; boundary=b")]
        try:
            asyncio.run(read_photos(Request({"type": "http", "headers": headers}, receive), Slots(Limits())))
        except RequestError as error:
            write_log("refused", logging.WARNING, status=error.status)
    """
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert [json.loads(line)["status"] for line in ran.stderr.splitlines()] == [422]


def test_fastapi_reports_nothing_whatever_the_environment_names(monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    with running() as server, server.http() as http:
        assert http.get("/live").status_code == 200
    inner = create_app({"small": small_predictor()})[0]._app
    assert not any(inner._telemetry[name] for name in ("auto_configure", "tracing", "metrics", "logs"))


def test_a_failure_of_the_server_tells_its_id_and_nothing_else(server, http, monkeypatch, caplog):
    def fail(photos):
        raise MemoryError("/secret/path: out of memory")

    monkeypatch.setattr(server.service.models["small"], "predict_prepared", fail)
    answer = post(http, some_photo())
    assert "secret" not in problem(answer, 500)
    time.sleep(0.1)
    record = next(one for one in caplog.records if one.fields.get("id") == answer.headers["x-request-id"])
    assert "/secret/path" in str(record.exc_info[1])
    monkeypatch.undo()
    assert post(http, some_photo()).status_code == 200


def test_a_body_over_the_limit_is_refused_from_its_header_and_while_it_arrives():
    def trickle():
        for _ in range(100):
            yield b"x" * 1000

    with running(max_bytes=20_000, max_pixels=5000) as server, server.http() as http:
        assert "expected at most 20,000 bytes" in problem(post(http, b"x" * 20_001), 413)
        assert "arrived" in problem(http.post("/v1/predict", content=trickle()), 413)
        assert "4,800" not in post(http, some_photo(60, 80)).text
        assert "7,200 pixels; expected at most 5,000" in problem(post(http, some_photo(90, 80)), 422)
        bomb = encode(np.zeros((4000, 4000), np.uint8))
        assert len(bomb) < 20_000 and "16,000,000 pixels" in problem(post(http, bomb), 422)
        assert post(http, some_photo(60, 80)).status_code == 200


def test_more_photos_than_the_queue_holds_are_refused_at_once(monkeypatch):
    with running(max_queue=3) as server, server.http() as http:
        predict = server.service._batchers["small"].predictor.predict_prepared
        monkeypatch.setattr(
            server.service._batchers["small"].predictor,
            "predict_prepared",
            lambda photos: (time.sleep(1.5), predict(photos))[1],
        )
        with ThreadPoolExecutor(3) as pool:
            first = [pool.submit(post, http, some_photo()) for _ in range(3)]
            time.sleep(0.7)
            refused = post(http, some_photo())
            assert http.get("/live").status_code == 200
            assert "3 of 3 photos" in problem(refused, 503)
            assert int(refused.headers["retry-after"]) >= 1
            problem(http.post("/v1/predict/batch", files=[("image", b"x")] * 2), 503)
            assert [one.result().status_code for one in first] == [200] * 3
        problem(http.post("/v1/predict/batch", files=[("image", some_photo())] * 4), 422)  # never, not later
        assert http.post("/v1/predict/batch", files=[("image", some_photo())] * 3).status_code == 200
        assert server.service.slots.taken == 0


def test_without_a_token_there_is_nothing_but_life_signs():
    with running(tokens=[TOKEN, "another-token-0123456"]) as server, server.http() as http:
        for path in ("/v1/models", "/metrics", "/openapi.json", "/nothing"):
            answer = http.get(path)
            problem(answer, 401)
            assert answer.headers["www-authenticate"] == "Bearer"
        problem(post(http, some_photo()), 401)
        for wrong in ("Bearer", f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}"):
            problem(http.get("/v1/models", headers={"Authorization": wrong}), 401)
        assert http.get("/live").status_code == http.get("/ready").status_code == 200
        for right in (f"Bearer {TOKEN}", "bearer another-token-0123456"):
            assert http.get("/v1/models", headers={"Authorization": right}).status_code == 200


def test_a_request_that_names_another_host_is_refused():
    """As a page of another site would, whose name leads to this machine."""
    with running(hosts=["localhost", "127.0.0.1", "[::1]", "photos.lan"]) as server, server.http() as http:
        for right in ("localhost", "LOCALHOST:8000", f"127.0.0.1:{server.port}", "[::1]", "[::1]:8000", "photos.lan"):
            assert http.get("/live", headers={"Host": right}).status_code == 200
        for wrong in (
            "evil.example",
            "evil.example:8000",
            "localhost.evil.example",
            "[::1]x",
            "",
            "127.0.0.1:8000:9",
            "localhost:x",
        ):
            for path in ("/live", "/v1/models", "/openapi.json", "/nothing"):
                assert "--allowed-host" in problem(http.get(path, headers={"Host": wrong}), 421)
            problem(http.post("/v1/predict", content=some_photo(), headers={"Host": wrong}), 421)


def test_a_full_queue_refuses_within_a_moment(monkeypatch):
    """50 ms is what a caller may expect; here it is the median of ten, for other work may hold the machine."""
    with running(max_queue=1) as server, server.http() as http:
        predict = server.service._batchers["small"].predictor.predict_prepared
        monkeypatch.setattr(
            server.service._batchers["small"].predictor,
            "predict_prepared",
            lambda photos: (time.sleep(2), predict(photos))[1],
        )
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(post, http, some_photo())
            while server.service.slots.taken == 0:
                time.sleep(0.01)
            times = []
            for _ in range(10):
                start = time.perf_counter()
                problem(post(http, some_photo()), 503)
                times.append(time.perf_counter() - start)
            assert first.result().status_code == 200
        assert statistics.median(times) < 0.05


def test_the_network_has_all_of_torchs_threads_and_what_is_beside_it_one():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with running() as server:
            pools = (server.service._network, server.service._threads)
            assert [pool.submit(torch.get_num_threads).result() for pool in pools] == [3, 1]
        after = []
        later = threading.Thread(target=lambda: after.append(torch.get_num_threads()))
        later.start()
        later.join()
        assert after == [3]
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("token", ["short", "with a blank in between", "nicht-ascii-süß-genug"])
def test_a_token_that_is_no_secret_is_refused(token):
    with pytest.raises(ArgumentError, match="openssl rand"):
        hash_tokens([token])


def test_the_openapi_description_is_true():
    """Random requests, valid and not: every answer is one that the description promises."""
    with running(label_studio=LabelStudio(), hosts=["127.0.0.1"]) as server:
        check_description(server.address, 10)
