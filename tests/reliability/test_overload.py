"""Ten times as many requests as a server can answer: it refuses the rest at once, and answers as many as before."""

import asyncio
import os
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from maskzoo import read_image
from networks import small_predictor
from servers import running, some_photo, started

SECONDS = int(os.environ.get("MASKZOO_OVERLOAD_SECONDS", "120"))
BATCH_SECONDS = float(os.environ.get("MASKZOO_OVERLOAD_BATCH_SECONDS", "0.2"))  # on a busy machine more
HEAD = b"POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: image/png\r\nContent-Length: "
PROGRAM = """
import sys
sys.path[:0] = sys.argv[1:3]
import maskzoo, test_overload
maskzoo.serve(test_overload.slow_predictor(), port=0, on_start=lambda at: print("Listening on", at, file=sys.stderr))
"""


def slow_predictor():
    """A network that takes its time and no processor, as another device would: forty photos a second, by batches of eight."""
    predictor = small_predictor()
    found = predictor.predict_prepared([predictor.prepare(read_image(some_photo()))])[0]

    def wait(photos):
        time.sleep(BATCH_SECONDS)
        return [found] * len(photos)

    predictor.predict_prepared = wait
    return predictor


async def ask(port, request, ends):
    """Send a request on a connection of its own; append its status, seconds and Retry-After."""
    start = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        answer = await reader.read()
    finally:
        writer.close()
    after = answer.partition(b"retry-after: ")[2][:3]
    ends.append((int(answer[9:12]), time.perf_counter() - start, int(after) if after.strip().isdigit() else 0))


async def fill(port, request, seconds, clients):
    """Ask with so many clients, each of which waits for its answer; return answers a second."""
    ends, end = [], time.perf_counter() + seconds

    async def work():
        while time.perf_counter() < end:
            await ask(port, request, ends)

    await asyncio.gather(*(work() for _ in range(clients)))
    assert {status for status, *_ in ends} == {200}
    return len(ends) / seconds


async def flood(port, request, seconds, rate):
    """Ask `rate` times a second, whatever comes back; return the ends."""
    ends, tasks, start, number = [], set(), time.perf_counter(), 0
    while (now := time.perf_counter() - start) < seconds:
        for _ in range(int(now * rate) - number):
            number += 1
            task = asyncio.ensure_future(ask(port, request, ends))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.sleep(0.005)
    await asyncio.gather(*tasks)
    return ends


def overload(server, seconds):
    """Measure the peak, then ten times as much; return both rates and the milliseconds of the refusals."""
    photo = some_photo()
    request = HEAD + b"%d\r\n\r\n%b" % (len(photo), photo)
    peak = asyncio.run(fill(server.port, request, max(1, seconds / 10), 16))
    ends = asyncio.run(flood(server.port, request, seconds, 10 * peak))
    good = [waited for status, waited, _ in ends if status == 200]
    refused = np.array([1000 * waited for status, waited, _ in ends if status == 503])
    assert {status for status, *_ in ends} == {200, 503} and len(refused) > 5 * len(good)
    assert all(1 <= after < 100 for status, _, after in ends if status == 503)
    told = [f"{value:.1f}" for value in (*np.percentile(refused, (50, 99)), refused.max(), 1000 * max(good))]
    print(f"peak {peak:.1f} a second; of {len(ends) / seconds:.0f} a second {len(good) / seconds:.1f} were answered")
    print(f"ms p50, p99, most of a refusal, most of an answer: {told}; Retry-After at most {max(after for *_, after in ends)}")
    return peak, len(good) / seconds, refused


def test_a_burst_of_ten_times_what_the_queue_holds_is_answered_or_refused():
    photo, ends = some_photo(), []
    request = HEAD + b"%d\r\n\r\n%b" % (len(photo), photo)

    async def burst(port):
        await asyncio.gather(*(ask(port, request, ends) for _ in range(160)))

    with running({"small": slow_predictor()}, max_queue=16) as server:
        asyncio.run(burst(server.port))
        assert server.service.slots.taken == 0
    counts = Counter(status for status, *_ in ends)
    assert counts[200] >= 16 and counts[503] >= 16 and counts[200] + counts[503] == 160
    assert all(1 <= after < 100 for status, _, after in ends if status == 503)


@pytest.mark.reliability
@pytest.mark.timeout(1800)
def test_ten_times_too_much_for_long():
    tests = Path(__file__).parents[1]
    with started(tests, str(tests / "reliability"), program=("-c", PROGRAM)) as server:
        before = server.memory()
        peak, rate, refused = overload(server, SECONDS)
        print(f"{server.memory() - before:.1f} MB more")
    assert rate > 0.9 * peak and np.percentile(refused, 99) < 50
