import asyncio
import base64
import http.server
import json
import threading
from contextlib import contextmanager

import pytest

from maskzoo.errors import ArgumentError, ImageError, MaskzooError
from maskzoo.serving.labelling.pictures import LabelStudio, Pictures

LEGACY = "0123456789abcdef0123456789abcdef01234567"
PERSONAL = "head.body.signature"
PHOTO = b"the bytes of a photo"


def read(named, most=1000, **settings):
    return asyncio.run(Pictures.open(LabelStudio(**settings), most).read(named))


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "media"
    for place in ("upload/3/0a1b2c3d-my_photo.png", "street/a b.png", "large.png"):
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_bytes(PHOTO * 100 if place == "large.png" else PHOTO)
    (tmp_path / "secret.png").write_bytes(b"secret")
    (root / "link.png").symlink_to(tmp_path / "secret.png")
    return root


@contextmanager
def host(answers):
    """A server that answers by path with a status and a body, and writes down what it was asked."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self):
            length = int(self.headers.get("Content-Length", 0))
            asked.append((self.path, self.headers.get("Authorization"), self.rfile.read(length)))
            queue = answers[self.path]
            status, body = queue.pop(0) if isinstance(queue, list) else queue
            self.send_response(status)
            if status == 302:
                self.send_header("Location", body.decode())
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = answer  # noqa: N815 - the names that the library asks for

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_data_uri_is_the_picture():
    assert read("data:image/png;base64," + base64.b64encode(PHOTO).decode()) == PHOTO
    for wrong in ("data:image/png;base64,?", "data:image/png,abc", "data:", "data:image/png;base64"):
        with pytest.raises(ImageError, match="data URI"):
            read(wrong)


def test_uploads_and_local_files_are_found_in_the_folder(root):
    assert read("/data/upload/3/0a1b2c3d-my_photo.png", images=root) == PHOTO
    assert read("/data/local-files/?d=street/a%20b.png", images=root) == PHOTO
    assert read("/data/local-files/?d=street%2Fa+b.png", images=root) == PHOTO


@pytest.mark.parametrize(
    "named",
    [
        "/data/local-files/?d=../secret.png",
        "/data/local-files/?d=street/../../secret.png",
        "/data/local-files/?d=link.png",
        "/data/local-files/?d=/etc/passwd",
        "/data/local-files/?d=%00",
        "/data/local-files/?d=",
        "/data/local-files/",
        "/data/upload/../../secret.png",
        "/data/upload/%2e%2e/%2e%2e/secret.png",
        "/etc/passwd",
        "secret.png",
        "",
        "file:///etc/passwd",
    ],
)
def test_nothing_outside_of_the_folder_is_read(root, named):
    with pytest.raises(ImageError) as refused:
        read(named, images=root)
    assert str(root) not in str(refused.value)


@pytest.mark.parametrize(
    "named",
    ["http://127.0.0.1:9/a.png", "https://example.org/data/upload/1/a.png", "s3://bucket/a.png", "//host/a.png", "http://["],
)
def test_no_address_is_fetched(root, named):
    with pytest.raises(ImageError, match="does not fetch it"):
        read(named, images=root)


def test_a_file_that_is_too_large_is_refused_before_it_is_read(root):
    with pytest.raises(ImageError, match="2,000 bytes; expected at most 1,000"):
        read("/data/local-files/?d=large.png", images=root)


def test_the_one_host_is_asked_for_what_is_in_no_folder(root, tmp_path):
    (tmp_path / "token").write_text(LEGACY + "\n")
    place = "/data/upload/4/b.png"
    with host({place: (200, PHOTO)}) as (url, asked):
        settings = {"images": root, "url": url + "/", "token_file": tmp_path / "token"}
        assert read(place, **settings) == read(url + place, **settings) == PHOTO
        assert read("/data/upload/3/0a1b2c3d-my_photo.png", **settings) == PHOTO
        for other in ("/api/users", "http://localhost:9" + place, url + "1" + place, url + "/data/upload/../../api/users"):
            with pytest.raises(ImageError):
                read(other, **settings)
    assert [(path, token) for path, token, _ in asked] == [(place, f"Token {LEGACY}")] * 2


def test_a_personal_token_is_exchanged_and_once_more_when_it_has_expired(tmp_path):
    (tmp_path / "token").write_text(PERSONAL)
    place = "/data/upload/4/b.png"
    tokens = [(200, json.dumps({"access": text}).encode()) for text in ("first", "second")]
    with host({"/api/token/refresh/": tokens, place: [(200, PHOTO), (401, b""), (200, PHOTO)]}) as (url, asked):
        pictures = Pictures.open(LabelStudio(url=url, token_file=tmp_path / "token"), 1000)
        assert [asyncio.run(pictures.read(place)) for _ in range(2)] == [PHOTO, PHOTO]
    assert [token for _, token, _ in asked] == [None, "Bearer first", "Bearer first", None, "Bearer second"]
    assert json.loads(asked[0][2]) == {"refresh": PERSONAL}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((404, b""), "answers 404"),
        ((302, b"/elsewhere"), "answers 302"),
        ((200, b"x" * 1001), "more than 1,000 bytes"),
    ],
)
def test_an_answer_that_is_no_picture_is_told(answer, words):
    with host({"/data/upload/4/b.png": answer}) as (url, asked), pytest.raises(ImageError, match=words):
        read("/data/upload/4/b.png", url=url)
    assert len(asked) == 1


def test_a_token_that_is_not_taken_and_a_host_that_is_not_there_are_told(tmp_path):
    (tmp_path / "token").write_text(PERSONAL)
    with host({"/api/token/refresh/": (401, b"{}")}) as (url, _), pytest.raises(ImageError, match="does not take the token"):
        read("/data/upload/4/b.png", url=url, token_file=tmp_path / "token")
    with pytest.raises(ImageError, match="does not answer"):
        read("/data/upload/4/b.png", url="http://127.0.0.1:9")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"url": "localhost:8080"}, "http://localhost:8080"),
        ({"url": "http://["}, "http://localhost:8080"),
        ({"token_file": "token"}, "add --label-studio-url"),
        ({"images": "none"}, "no folder"),
        ({"score": 2.0}, "0 to 1"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings, words):
    with pytest.raises(ArgumentError, match=words):
        LabelStudio(**settings)


def test_a_file_without_one_token_is_refused(tmp_path):
    (tmp_path / "two").write_text("one\ntwo\n")
    with pytest.raises(ArgumentError, match="one access token"):
        LabelStudio(url="http://localhost:8080", token_file=tmp_path / "two")
    with pytest.raises(MaskzooError, match="none"):
        LabelStudio(url="http://localhost:8080", token_file=tmp_path / "none")
