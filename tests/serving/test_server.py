import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from maskzoo import ArgumentError, MaskzooError, serve
from maskzoo.serving import server as serving
from maskzoo.serving.server import _name_hosts, check_start
from maskzoo.weights.checkpoint import write_checkpoint
from networks import small_config, small_network, small_predictor
from servers import post, running, some_photo


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


def test_what_is_no_http_is_a_problem_too():
    with running() as server, server.connect() as socket:
        socket.sendall(b"\x16\x03\x01 nonsense\r\n\r\n")
        answer = b""
        while part := socket.recv(65536):
            answer += part
        assert answer.startswith(b"HTTP/1.1 400") and b"application/problem+json" in answer
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["status"] == 400


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


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    config = small_config()
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    write_checkpoint(path, small_network(config).state_dict(), config, {})
    return path


def test_the_command_serves_logs_json_and_stops_with_0(model):
    command = [sys.executable, "-m", "maskzoo", "serve", "--model", f"mine={model}", "--port", "0", "--workers", "1"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    lines = []
    ready = threading.Event()

    def read():
        for line in process.stderr:
            lines.append(line)
            if line.startswith("Listening on "):
                ready.set()

    thread = threading.Thread(target=read)
    thread.start()
    try:
        assert ready.wait(100), lines
        address = next(line for line in lines if line.startswith("Listening")).split()[2]
        assert address.startswith("http://127.0.0.1:")
        with httpx.Client(base_url=address, trust_env=False, timeout=60) as http:
            answer = post(http, some_photo(), score=0)
            assert answer.json()["model"] == "mine" and answer.json()["detections"]
    finally:
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(60) == 0
        thread.join(10)
        process.stdout.close()
        process.stderr.close()
    entries = [json.loads(line) for line in lines if line.startswith("{")]
    assert [entry["event"] for entry in entries] == ["listening", "request", "stopping", "stopped"]
    assert entries[1]["id"] == answer.headers["x-request-id"]
