"""What measuring processes share, those of peers too, where maskzoo is not installed: time, memory, the answer."""

import json
import resource
import sys
import time
from pathlib import Path


def read_job():
    """The job that the script wrote to standard input."""
    return json.load(sys.stdin)


def answer(result):
    """Print the result as the line of JSON that `maskzoo.bench.processes.run_process` looks for."""
    print(json.dumps(result), flush=True)


def time_call(work, wait=lambda: None):
    """Seconds of a call; `wait` returns when its device has done its work."""
    start = time.perf_counter()
    work()
    wait()
    return time.perf_counter() - start


def read_peak_memory():
    """The most memory that this process ever had, in MB. On Linux getrusage may tell the parent's instead."""
    status = Path("/proc/self/status")
    for line in status.read_text().splitlines() if status.exists() else ():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Clock:
    """Seconds since the last lap, by stage."""

    def __init__(self):
        self.laps, self.last = {}, time.perf_counter()

    def lap(self, stage):
        now = time.perf_counter()
        self.laps[stage] = now - self.last
        self.last = now
