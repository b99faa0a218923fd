import threading
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
from PIL import Image

from maskzoo import ArgumentError, Client, ImageError, RequestError
from networks import make_photo, small_predictor
from servers import encode, running

TOKEN = "a-token-of-some-length"
NO_MODEL = r"no model is called 'x'.*status 404, request \w+"


@pytest.fixture(scope="module")
def server():
    with running(tokens=[TOKEN], max_pixels=20_000) as server:
        yield server


@pytest.fixture
def client(server):
    with Client(server.address, token=TOKEN) as client:
        yield client


def make_sources(folder):
    photo = make_photo(60, 80)
    Image.fromarray(photo).save(folder / "a.png")
    return {
        "path": folder / "a.png",
        "text": str(folder / "a.png"),
        "bytes": encode(photo, "JPEG"),
        "picture": Image.fromarray(photo),
        "array": photo,
    }


@pytest.mark.parametrize("kind", ["path", "text", "bytes", "picture", "array"])
def test_a_prediction_is_the_predictors_own_bit_for_bit(client, tmp_path, kind):
    source = make_sources(tmp_path)[kind]
    found, expected = client.predict(source), small_predictor().predict(source)
    for name in ("boxes", "scores", "labels", "category_ids"):
        one, other = getattr(found, name), getattr(expected, name)
        assert one.dtype == other.dtype and np.array_equal(one, other)
    assert np.array_equal(found.masks.probabilities, expected.masks.probabilities)
    assert (found.names, found.size, found.scale, found.source) == (
        expected.names, expected.size, expected.scale, expected.source,
    )  # fmt: skip
    assert found.to_dict() == expected.to_dict() and len(found) > 0
    assert np.array_equal(np.array(found.draw()), np.array(expected.draw()))


def test_score_and_classes_are_chosen_by_the_server(client):
    photo = make_photo(60, 80)
    everything = client.predict(photo, score=0)
    assert 0 < len(client.predict(photo, score=0.6)) == int((everything.scores >= 0.6).sum()) < len(everything)
    assert set(client.predict(photo, classes=["car"]).names) == {"car"}
    assert len(client.predict(photo, score=1)) == 0


def test_photos_that_cannot_be_read_are_image_errors_here_and_there(client, tmp_path):
    with pytest.raises(ImageError, match="truncated"):
        client.predict(encode(make_photo(60, 80))[:200])
    with pytest.raises(ImageError, match=r"none\.png: cannot be opened"):
        client.predict(tmp_path / "none.png")
    with pytest.raises(ImageError, match="expected at most 20,000"):
        client.predict(encode(make_photo(200, 200)))


def test_other_refusals_say_their_status_and_id(server, client):
    with Client(server.address, token=TOKEN, model="x") as lost, pytest.raises(RequestError, match=NO_MODEL) as refused:
        lost.predict(make_photo(60, 80))
    assert refused.value.status == 404
    with Client(server.address) as stranger, pytest.raises(RequestError, match="Authorization: Bearer") as refused:
        stranger.models()
    assert refused.value.status == 401
    assert client.models()[0]["name"] == "small" and client.is_ready()


def test_a_server_that_is_not_there_is_a_request_error():
    with Client("http://127.0.0.1:9") as client:
        assert not client.is_ready()
        with pytest.raises(RequestError, match="no answer"):
            client.predict(make_photo(60, 80))


def test_a_busy_server_is_asked_again_when_it_says(server, client):
    slots = server.service.slots
    held = ExitStack()
    held.enter_context(slots.hold(slots.limits.max_queue))
    with Client(server.address, token=TOKEN, patience=0) as hasty, pytest.raises(RequestError) as refused:
        hasty.predict(make_photo(60, 80))
    assert refused.value.status == 503 and refused.value.retry_after >= 1
    threading.Timer(0.3, held.close).start()
    assert len(client.predict(make_photo(60, 80))) > 0


@contextmanager
def stranger(status, body, **headers):
    """The address of a server that is none of ours and gives everybody the same answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    "body", [b"<html>hello</html>", b"\xff\xfe", b"[]", b"null", b'{"models": 3, "detections": [{}]}', b""]
)
def test_an_answer_of_something_else_is_told_and_no_traceback(body):
    with stranger(200, body) as address, Client(address) as client:
        for ask in (client.models, lambda: client.predict(make_photo(60, 80))):
            with pytest.raises(RequestError, match=f"{address}: its answer is not that of a maskzoo server"):
                ask()


@pytest.mark.parametrize("wait", ["Wed, 21 Oct 2026 07:28:00 GMT", "-1", "1.5", "9" * 400, "soon"])
def test_a_proxys_retry_after_that_is_no_number_of_seconds_is_as_good_as_none(wait):
    refused = pytest.raises(RequestError, match="status 503 from something that is no maskzoo server")
    with stranger(503, b"busy", Retry_After=wait) as address, Client(address) as client, refused:
        client.models()


@pytest.mark.parametrize("address", ["http://127.0.0.1:port", "http://a\x00b"])
def test_what_is_no_address_is_an_argument_error(address):
    with pytest.raises(ArgumentError, match=r"address is .*expected one like http"):
        Client(address)


@pytest.mark.parametrize("address", ["", "http://[bad", "127.0.0.1:8000", "localhost:8000", "ftp://127.0.0.1", "photo.jpg"])
def test_an_address_of_another_kind_gives_no_answer(address):
    with Client(address) as client, pytest.raises(RequestError, match="no answer"):
        client.models()


def test_a_token_may_end_with_its_line_and_is_never_told(server):
    with Client(server.address, token=f"  {TOKEN}\r\n") as client:
        assert client.models()[0]["name"] == "small"
    for wrong in ("geheimes-süßes-wort", "two\nlines-of-a-file"):
        with pytest.raises(ArgumentError) as refused:
            Client(server.address, token=wrong)
        assert wrong not in str(refused.value)
