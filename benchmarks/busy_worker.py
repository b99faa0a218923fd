"""One contender of busy.py in a process of its own: reads a job, then a number of seconds a line, and times calls for so long.

Answers each line with one of JSON: `speed` in images a second, and the seconds of all cores that this process `used`.
The environment, which libgomp reads when torch loads it, is the parent's business.
"""

import json
import sys
import time

from stopwatch import answer

from maskzoo.bench.worker import prepare
from maskzoo.exporting import runtimes
from maskzoo.system.memory import keep_freed_memory
from maskzoo.zoo.load import load


def main():
    job = json.loads(sys.stdin.readline())
    if job["before"]:
        runtimes.SESSION.clear()
    keep_freed_memory()
    call, images = prepare_several(job) if job["workers"] > 1 else (prepare(job, "cpu")[0], 1)
    call()
    call()
    answer({})
    for line in sys.stdin:
        answer(measure(call, images, float(line)))


def prepare_several(job):
    """What `maskzoo predict` does with a folder: several images at once."""
    predictor = load(job["model"], device="cpu", backend=job["backend"], dtype=job["dtype"])
    images = job["images"] * 2

    def predict():
        for _, prediction in predictor.predict_each(images, score=0, workers=job["workers"]):
            prediction.masks.rle()

    return predict, len(images)


def measure(call, images, seconds):
    began, used, count = time.perf_counter(), time.process_time(), 0
    while count == 0 or time.perf_counter() - began < seconds:
        call()
        count += images
    return {"speed": count / (time.perf_counter() - began), "used": time.process_time() - used}


if __name__ == "__main__":
    main()
