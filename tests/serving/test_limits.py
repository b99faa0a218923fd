import time
from contextlib import ExitStack

import pytest

from maskzoo.errors import ArgumentError, RequestError
from maskzoo.serving.limits import Limits, Slots
from servers import post, running, some_photo


@pytest.mark.parametrize("wrong", [{"max_batch": 0}, {"max_queue": -1}, {"max_wait_ms": -1.0}, {"max_wait_ms": float("nan")}])
def test_a_limit_that_lets_nothing_through_is_refused_by_its_name(wrong):
    with pytest.raises(ArgumentError, match=f"{next(iter(wrong))} is"):
        Limits(**wrong)


def test_slots_are_counted_and_the_next_caller_is_told_when_to_come_back():
    slots = Slots(Limits(max_queue=2))
    with slots.hold(2):
        with pytest.raises(RequestError, match="2 of 2 photos") as refused, slots.hold():
            raise AssertionError
        assert refused.value.status == 503 and refused.value.retry_after == 1
        slots.seconds = 10.1
        with pytest.raises(RequestError) as later:
            slots.check()
        assert later.value.retry_after == 11
    with slots.hold():
        assert slots.taken == 1
    assert slots.taken == 0 and slots.seconds < 10


def send(socket, text, seconds=0.0):
    socket.sendall(text)
    time.sleep(seconds)


def read_all(socket):
    socket.settimeout(20)
    answer = b""
    while part := socket.recv(65536):
        answer += part
    return answer


def test_a_slow_sender_of_a_body_is_cut_and_its_place_is_free_again():
    with running(patience_seconds=0.5, pace=10_000) as server:
        with server.connect() as socket:
            send(socket, b"POST /v1/predict HTTP/1.1\r\nHost: a\r\nContent-Length: 30000\r\n\r\n" + b"x" * 100)
            start = time.monotonic()
            answer = read_all(socket)
            assert time.monotonic() - start < 10
            assert answer.startswith(b"HTTP/1.1 408") and b"connection: close" in answer.lower()
            assert b"100 bytes arrived" in answer
        assert server.service.slots.taken == 0


def test_what_has_come_fast_buys_no_pause_and_a_slow_sender_no_place():
    """It would hold its memory for as long as all of it may take at the least pace: here 20 seconds."""
    with running(patience_seconds=0.5, pace=10_000, max_queue=1) as server, server.http() as http, server.connect() as socket:
        send(socket, b"POST /v1/predict HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n" + b"x" * 200_000, 0.1)
        assert server.service.slots.arriving == 200_000
        assert post(http, some_photo()).status_code == 200
        start = time.monotonic()
        assert read_all(socket).startswith(b"HTTP/1.1 408")
        assert time.monotonic() - start < 5 and server.service.slots.arriving == 0


def test_bodies_that_arrive_have_no_more_memory_than_photos_under_way():
    with running(max_queue=2, max_bytes=100_000) as server, server.http() as http, ExitStack() as stack:
        sockets = [stack.enter_context(server.connect()) for _ in range(3)]
        for socket in sockets:
            send(socket, b"POST /v1/predict HTTP/1.1\r\nHost: a\r\nContent-Length: 90000\r\n\r\n" + b"x" * 80_000, 0.2)
        assert server.service.slots.arriving == 160_000
        assert sockets[2].recv(65536).startswith(b"HTTP/1.1 503")
        assert post(http, some_photo()).status_code == 200


def test_a_sender_that_keeps_the_pace_is_not_cut():
    content = some_photo(200, 200)
    with running(patience_seconds=0.5, pace=20_000) as server, server.connect() as socket:
        send(socket, b"POST /v1/predict HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(content))
        for start in range(0, len(content), 10_000):
            send(socket, content[start : start + 10_000], 0.1)
        assert read_all(socket).startswith(b"HTTP/1.1 200")


def test_a_refused_sender_reads_the_answer_although_it_has_not_sent_all():
    with running(max_bytes=1000) as server, server.connect() as socket:
        send(socket, b"POST /v1/predict HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n")
        start = time.monotonic()
        assert socket.recv(65536).startswith(b"HTTP/1.1 413")
        assert time.monotonic() - start < 0.5
        for _ in range(20):
            socket.sendall(b"x" * 150)  # what it still sends breaks nothing
