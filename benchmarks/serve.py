"""What `maskzoo serve` costs beside the predictor alone: python benchmarks/serve.py MODEL [--seconds N] [--size 480x640].

Server and predictor take turns on one machine. A client has one request under way at a time, on a connection of its own.
With --memory N: how the server's memory, decoding processes included, changes over N requests of photos of changing sizes.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import numpy as np

import maskzoo
from maskzoo.bench.processes import describe_machine

RESULT = Path(__file__).parent / "results" / "serve.json"
CLIENTS = (1, 8, 64)


def make_photo(height, width):
    """The bytes of a JPEG with structure."""
    import io

    from PIL import Image

    random = np.random.default_rng(0)
    coarse = random.integers(0, 200, (-(-height // 16), -(-width // 16), 3)).repeat(16, 0).repeat(16, 1)[:height, :width]
    stream = io.BytesIO()
    Image.fromarray((coarse + random.integers(0, 30, (height, width, 3))).astype(np.uint8)).save(stream, "JPEG")
    return stream.getvalue()


def start_server(model, max_batch):
    """A server in a process of its own, and its address."""
    command = [
        sys.executable,
        "-m",
        "maskzoo",
        "serve",
        model,
        "--port",
        "0",
        "--max-batch",
        str(max_batch),
        "--max-queue",
        "128",
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if found := re.search(r"Listening on (\S+)", line):
            threading.Thread(target=process.stderr.read, daemon=True).start()
            return process, found[1]
    raise SystemExit("the server did not start")


def load(address, photo, clients, seconds):
    """Seconds of each request, and requests a second."""
    times, end = [], time.perf_counter() + seconds

    def ask():
        with httpx.Client(base_url=address, trust_env=False, timeout=120) as http:
            while time.perf_counter() < end:
                start = time.perf_counter()
                http.post("/v1/predict", params={"score": 0}, content=photo).raise_for_status()
                times.append(time.perf_counter() - start)

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times, len(times) / (time.perf_counter() - start)


def predict(predictor, photo, seconds):
    """The same by the predictor alone, run lengths included."""
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        json.dumps(next(predictor.predict_each([photo]))[1].to_dict())
        times.append(time.perf_counter() - start)
    return times, len(times) / sum(times)


def describe(times, rates):
    """A row of the result, times in milliseconds."""
    ms = np.array(times) * 1000
    rate = statistics.median(rates)
    return {"p50": float(np.percentile(ms, 50)), "p99": float(np.percentile(ms, 99)), "rate": rate, "requests": len(ms)}


def read_memory(process):
    """Megabytes that the server and the processes that it started hold."""
    tasks = Path(f"/proc/{process.pid}/task").glob("*/children")  # a process is the child of the thread that started it
    pids = [process.pid, *(int(pid) for task in tasks for pid in task.read_text().split())]
    texts = [Path(f"/proc/{pid}/status").read_text() for pid in pids]
    return sum(int(re.search(r"VmRSS:\s+(\d+)", text)[1]) for text in texts) / 1024


def watch_memory(model, requests):
    """Yield requests done and megabytes held, twenty times on the way."""
    process, address = start_server(model, 8)
    random = np.random.default_rng(0)
    try:
        with httpx.Client(base_url=address, trust_env=False, timeout=120) as http:
            for done in range(requests + 1):
                if done % max(1, requests // 20) == 0:
                    yield {"requests": done, "megabytes": round(read_memory(process), 1)}
                photo = make_photo(*random.integers(16, 400, 2).tolist())
                http.post("/v1/predict", params={"score": 0}, content=photo).raise_for_status()
    finally:
        process.terminate()
        process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", default="480x640")
    parser.add_argument("--memory", type=int, metavar="N")
    given = parser.parse_args()
    if given.memory is not None:
        for row in watch_memory(given.model, given.memory):
            print(json.dumps(row), flush=True)
        return
    photo = make_photo(*map(int, given.size.split("x")))
    predictor = maskzoo.load(given.model)
    servers = {size: start_server(given.model, size) for size in (1, 8)}
    found = {}
    try:
        for round_ in range(given.rounds + 1):
            seconds = given.seconds if round_ else 0.5  # the first warms
            jobs = {("alone", 1): lambda s=seconds: predict(predictor, photo, s)}
            for size, (_, address) in servers.items():
                for clients in CLIENTS:
                    jobs[(f"batch {size}", clients)] = lambda a=address, c=clients, s=seconds: load(a, photo, c, s)
            for key, job in jobs.items():
                times, rate = job()
                if round_:
                    row = found.setdefault(key, ([], []))
                    row[0].extend(times)
                    row[1].append(rate)
    finally:
        for process, _ in servers.values():
            process.terminate()
            process.wait()
    rows = [{"what": what, "clients": clients} | describe(*measured) for (what, clients), measured in found.items()]
    facts = {"size": given.size, "short_side": predictor.config.input.short_side, "rows": rows, "machine": describe_machine()}
    RESULT.write_text(json.dumps(facts, indent=1, default=str) + "\n", encoding="utf-8")
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
