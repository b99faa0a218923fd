import gc
import json
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx
import pytest

from maskzoo import ArgumentError, MaskzooError, serve
from maskzoo.serving import server as serving
from maskzoo.serving.server import _name_hosts, check_start
from networks import small_predictor
from servers import post, running, some_photo, started, write_small_model


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.org", ""])
def test_other_machines_are_let_in_by_a_token_or_by_word_alone(host, tmp_path):
    (tmp_path / "tokens").write_text("a-token-of-some-length\n\n another-token-0123456 \n")
    with pytest.raises(ArgumentError, match=r"--token-file FILE, or --open"):
        check_start(host, None, False)
    assert check_start(host, None, True) == []
    assert check_start(host, tmp_path / "tokens", False) == ["a-token-of-some-length", "another-token-0123456"]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_this_machine_needs_no_token(host):
    assert check_start(host, None, False) == []


def test_a_token_file_without_a_token_or_without_a_file_is_refused(tmp_path):
    (tmp_path / "empty").write_text("\n \n")
    with pytest.raises(ArgumentError, match="has no token"):
        check_start("127.0.0.1", tmp_path / "empty", False)
    with pytest.raises(MaskzooError, match="none"):
        check_start("127.0.0.1", tmp_path / "none", False)
    (tmp_path / "short").write_text("short\n")
    with pytest.raises(ArgumentError, match="16 letters"):
        check_start("127.0.0.1", tmp_path / "short", False)


def test_a_server_of_this_machine_is_called_by_its_names_and_others_by_any_unless_some_are_given():
    assert set(_name_hosts("127.0.0.1", ["photos.lan"])) == {"localhost", "127.0.0.1", "[::1]", "photos.lan"}
    assert "[::1]" in _name_hosts("::1", []) and "127.1.2.3" in _name_hosts("127.1.2.3", [])
    assert _name_hosts("0.0.0.0", []) == []
    assert "photos.lan" in _name_hosts("0.0.0.0", ["photos.lan"])


def test_an_address_that_is_taken_is_named():
    with running() as server, pytest.raises(MaskzooError, match=f"port {server.port}"):
        serve(small_predictor(), port=server.port)


def test_a_server_may_have_as_many_connections_as_the_system_allows():
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, before[1]), before[1]))
        serving._allow_connections()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (before[1], before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("wrong", [{"workers": 0}, {"models": {}}, {"max_queue": 0}])
def test_a_server_of_nothing_is_refused(wrong):
    with pytest.raises(ArgumentError, match="expected"):
        serve(**{"models": small_predictor(), "port": 0} | wrong)


def test_a_sender_that_never_ends_its_header_is_cut(monkeypatch):
    monkeypatch.setattr(serving, "HEADER_SECONDS", 0.4)
    with running() as server:
        for words in (b"", b"GET /live HTT", b"GET /live HTTP/1.1\r\nHost: a\r\n\r\nGET /li"):
            with server.connect() as socket:
                socket.sendall(words)
                start = time.monotonic()
                while socket.recv(65536):
                    pass
                assert time.monotonic() - start < 9  # of a connection that has had an answer, uvicorn cuts a silent one in 5


def exchange(server, content):
    """What the server answers until it closes the connection."""
    with server.connect() as socket:
        socket.sendall(content)
        answer = b""
        while part := socket.recv(65536):
            answer += part
    return answer


def test_what_is_no_http_is_a_problem_too_and_has_an_id_that_the_log_has(caplog):
    with running() as server:
        answer = exchange(server, b"\x16\x03\x01 nonsense\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400") and b"application/problem+json" in answer
    problem = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert problem["status"] == 400 and b"X-Request-ID: %b\r\n" % problem["id"].encode() in answer
    assert problem["id"] in [getattr(record, "fields", {}).get("id") for record in caplog.records]


HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKS = b"0\r\n\r\n" + HIDDEN


@pytest.mark.parametrize(
    "head",
    [
        b"POST /live HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: %d\r\n\r\n" % len(CHUNKS),
        b"POST /live HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\nTransfer-Encoding: CHUNKED\r\n\r\n" % len(CHUNKS),
        b"POST /live HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /live HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: %d\r\n\r\n" % len(CHUNKS),
    ],
)
def test_a_body_whose_end_two_programs_may_see_at_different_places_is_refused(head):
    """A proxy before the server would take what follows for the body, and not look at who asks for what in it."""
    with running() as server:
        answer = exchange(server, head + CHUNKS)
    assert answer.startswith(b"HTTP/1.1 400") and answer.count(b"HTTP/1.1") == 1


def test_a_reader_that_takes_nothing_is_cut_and_holds_up_no_end(monkeypatch):
    """What waits for it would stay in memory for good, and the server would wait for it when it is told to stop."""
    monkeypatch.setattr(serving, "READER_SECONDS", 0.5)
    photo = some_photo(1800, 1800)  # its picture is larger than what the system takes for both
    head = b"POST /v1/predict?answer=png HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(photo)
    with running() as server:
        whole = exchange(server, head + photo)  # one that reads has everything
        assert whole.endswith(b"IEND\xaeB`\x82")
        with server.connect() as reader:
            reader.sendall(head + photo)
            received = len(reader.recv(1000))
            server.server.handle_exit(signal.SIGTERM, None)
            server.thread.join(20)
            assert not server.thread.is_alive()
            with suppress(ConnectionResetError):
                while part := reader.recv(1_000_000):
                    received += len(part)
            assert received < len(whole)


def test_a_body_follows_its_header_at_once():
    waits = []
    with running() as server, server.connect() as socket:
        for _ in range(20):  # the first answers are confirmed at once
            socket.sendall(b"GET /live HTTP/1.1\r\nHost: a\r\n\r\n")
            answer = socket.recv(65536)
            start = time.perf_counter()
            while not answer.partition(b"\r\n\r\n")[2]:
                answer += socket.recv(65536)
            waits.append(time.perf_counter() - start)
    assert min(waits[10:]) < 0.02  # a kernel that waits for the confirmation waits 40 ms each time


def test_what_was_accepted_is_answered_when_the_server_is_told_to_stop(monkeypatch):
    predictor = small_predictor()
    predict = predictor.predict_prepared
    monkeypatch.setattr(predictor, "predict_prepared", lambda photos: (time.sleep(0.3), predict(photos))[1])
    with running(max_batch=1) as server, server.http() as http, ThreadPoolExecutor(6) as pool:
        requests = [pool.submit(post, http, some_photo()) for _ in range(6)]
        while server.service.slots.taken < 6:
            time.sleep(0.01)
        server.server.handle_exit(signal.SIGTERM, None)
        answers = [request.result() for request in requests]
        assert [answer.status_code for answer in answers] == [200] * 6
        assert all(answer.headers["connection"] == "close" for answer in answers)
        server.thread.join(30)
        assert not server.thread.is_alive()
        with pytest.raises(httpx.ConnectError):
            http.get("/live")


def test_a_request_that_follows_the_signal_on_an_open_connection_is_answered():
    with running() as server, server.connect() as socket:
        socket.sendall(b"GET /live HTTP/1.1\r\nHost: a\r\n\r\n")
        assert socket.recv(65536).startswith(b"HTTP/1.1 200")
        server.server.handle_exit(signal.SIGTERM, None)
        time.sleep(0.3)
        socket.sendall(b"GET /ready HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = b""
        while part := socket.recv(65536):
            answer += part
        assert b"HTTP/1.1 503" in answer and b"stopping" in answer  # after what was left of the first answer


def test_the_command_serves_logs_json_and_stops_with_0(tmp_path):
    program = ("-m", "maskzoo", "serve", "--workers", "1", "--model")
    with started(f"mine={write_small_model(tmp_path)}", program=program) as server:
        assert server.address.startswith("http://127.0.0.1:")
        with httpx.Client(base_url=server.address, trust_env=False, timeout=60) as http:
            answer = post(http, some_photo(), score=0)
            assert answer.json()["model"] == "mine" and answer.json()["detections"]
        assert server.stop() == 0
    assert [entry["event"] for entry in server.log] == ["listening", "request", "stopping", "stopped"]
    assert server.log[1]["id"] == answer.headers["x-request-id"]


def test_a_search_for_garbage_passes_over_what_was_there_at_the_start():
    assert gc.get_freeze_count() == 0
    with running():
        assert gc.get_freeze_count() > 100_000  # torch's objects
    assert gc.get_freeze_count() == 0
