"""Senders of too much, too slowly, or of nothing: what the server holds for them, when it lets go, and who notices."""

import asyncio
import json
import os
import random
import threading
import time
import tracemalloc
from contextlib import suppress
from pathlib import Path

import httpx
import numpy as np
import pytest

from maskzoo.serving import server as serving
from servers import post, running, some_photo, started, write_small_model

SOCKETS = int(os.environ.get("MASKZOO_SOCKETS", "1000"))
SECONDS = int(os.environ.get("MASKZOO_SENDERS_SECONDS", "60"))
HEAD = b"POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\n"
OPENINGS = {  # what a slow sender begins with, and what it adds each second
    "nothing": (b"", b""),
    "a header without an end": (b"GET /live HTTP/1.1\r\n", b"A: b\r\n"),
    "a body that stops": (HEAD + b"Content-Length: 30000000\r\n\r\n" + b"x" * 600_000, b""),
    "a body that trickles": (HEAD + b"Content-Length: 30000000\r\n\r\n", b"x"),
    "chunks that trickle": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
}


async def send_too_much(port, chunk=b"10000\r\n" + b"x" * 65536 + b"\r\n"):
    """Send a body without an end, and return the server's answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = asyncio.ensure_future(reader.read(65536))  # beside the sending: once the pipe breaks, nothing is read any more
    try:
        writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        with suppress(ConnectionError):
            while not answer.done():
                writer.write(chunk)
                await writer.drain()
                await asyncio.sleep(0)  # which `drain` leaves out where there is room
        return await answer
    finally:
        writer.close()


async def send_slowly(port, opening, more, closed):
    """Send a little each second until the server closes the connection; append the seconds that this took."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    start = time.monotonic()

    async def trickle():
        with suppress(ConnectionError):
            writer.write(opening)
            await asyncio.sleep(random.random())  # a thousand do not keep step
            while True:
                await asyncio.sleep(1)
                writer.write(more)

    sending = asyncio.ensure_future(trickle())
    try:
        async with asyncio.timeout(100):
            while await reader.read(65536):
                pass
    except ConnectionError:
        pass
    finally:
        sending.cancel()
        closed.append(time.monotonic() - start)
        writer.close()


async def besiege(port, sockets, closed):
    """Hold as many connections, of each kind as many, until all are closed."""
    kinds = list(OPENINGS.values())
    await asyncio.gather(*(send_slowly(port, *kinds[number % len(kinds)], closed) for number in range(sockets)))


def test_a_body_without_an_end_takes_at_most_twice_the_limit_of_memory():
    with running(max_bytes=8_000_000) as server:
        tracemalloc.start()
        try:
            answer = asyncio.run(send_too_much(server.port))
            most = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert answer.startswith(b"HTTP/1.1 413")
    assert 8_000_000 < most < 16_000_000


def test_slow_senders_are_let_go_and_nobody_else_is_refused(monkeypatch):
    monkeypatch.setattr(serving, "HEADER_SECONDS", 1.0)
    with running(patience_seconds=1.0, max_queue=2) as server, server.http() as http:
        closed = []
        siege = threading.Thread(target=lambda: asyncio.run(besiege(server.port, 50, closed)))
        siege.start()
        while not server.service.slots.arriving:
            time.sleep(0.01)
        assert post(http, some_photo()).status_code == 200
        siege.join(60)
        assert len(closed) == 50 and max(closed) < 15
        assert server.service.slots.taken == server.service.slots.arriving == 0


@pytest.mark.reliability
@pytest.mark.timeout(600)
def test_a_body_without_an_end_takes_at_most_twice_the_limit_from_a_server(tmp_path):
    """A limit of 600 MB: less would fit into what the network's first use has left free."""
    with started(write_small_model(tmp_path), "--workers", "1", "--max-bytes", "600e6") as server:
        Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")  # its peak begins anew
        before = server.memory("VmHWM")
        assert asyncio.run(send_too_much(server.port)).startswith(b"HTTP/1.1 413")
        grown = server.memory("VmHWM") - before
    print(f"{grown:.1f} MB more for a body of at most 600 MB")
    assert 100 < grown < 1200


@pytest.mark.reliability
@pytest.mark.timeout(1800)
def test_a_siege_is_let_go_and_slows_nobody(tmp_path):
    """Quiet and besieged turns of ten seconds; the senders are a process of their own."""
    seconds, closed = {False: [], True: []}, []
    with (
        started(write_small_model(tmp_path)) as server,
        httpx.Client(base_url=server.address, trust_env=False, timeout=60) as http,
    ):
        for _ in range(20):
            assert post(http, some_photo()).status_code == 200
        for turn in range(2 * (SECONDS // 10)):
            besieged = turn % 2 == 1
            if besieged:
                reading, writing = os.pipe()
                if (child := os.fork()) == 0:
                    found = []
                    try:
                        asyncio.run(besiege(server.port, SOCKETS, found))
                    finally:
                        os.write(writing, json.dumps([len(found), max(found)]).encode())
                        os._exit(0)
                os.close(writing)
                time.sleep(2)  # until all are there
            end = time.monotonic() + 8
            while time.monotonic() < end:
                start = time.perf_counter()
                assert post(http, some_photo()).status_code == 200
                seconds[besieged].append(time.perf_counter() - start)
            if besieged:
                closed.append(json.loads(os.read(reading, 1000)))
                os.close(reading)
                os.waitpid(child, 0)
    quiet, siege = ({p: 1000 * float(np.percentile(seconds[one], p)) for p in (50, 99)} for one in (False, True))
    print(f"{SOCKETS} sockets, closed within {max(most for _, most in closed):.1f} s; ms p50, p99: {quiet}, besieged {siege}")
    assert all(number == SOCKETS and most < 15 for number, most in closed)
    assert siege[99] < 1.2 * quiet[99]
