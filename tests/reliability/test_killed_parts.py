"""A process that reads images, or one of several that train, is killed: the others say so and end, and the run goes on."""

import os
import random
import signal
import sys
import time

import pytest

from ready_processes import end_all, find_children, start_ranks, wait
from small_runs import read_rows, write_data, write_model

COUNT = int(os.environ.get("MASKZOO_KILLED_PARTS", "50"))
SEED = 26
linux = pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Pictures that fill a pipe: a process that reads them waits in the middle of one for the run to take the rest."""
    folder = tmp_path_factory.mktemp("inputs")
    sides = ("training.short_sides: [192]", "training.long_side: 256", "training.epochs: 1", "training.milestones: [1]")
    return write_model(folder, *sides), write_data(folder / "data", train=6, val=0, size=(192, 256))


def kill_a_part(inputs, folder, draw, ranks):
    """Kill one worker of a run, or one of two ranks, at a random moment after its first step; return how long the end took."""
    run, log = folder / "run", folder / "log"
    options = ("--from", "none", "--out", run, "--set", "run.snapshot_every=1", "--set", f"run.workers={draw.choice((2, 3))}")
    processes = start_ranks(log, ranks, "train", *inputs, *options)
    try:
        while not read_rows(run):
            assert not wait(processes, 0.01), log.read_text()
        time.sleep(draw.uniform(0, 0.15))
        if ranks > 1:
            killed = draw.choice(processes)
            victim, others = killed.pid, [process for process in processes if process is not killed]
        else:
            victim, others = draw.choice(find_children(processes[0].pid) or [0]), processes
        if victim == 0:  # the epoch was over
            return None
        began = time.monotonic()
        os.kill(victim, signal.SIGKILL)
        assert wait(others, 60), log.read_text()
        took = time.monotonic() - began
    finally:
        end_all(processes)
    said = log.read_text()
    if [process.exitcode for process in others] == [0]:
        return None  # it had made all its batches
    assert [process.exitcode for process in others] == [1] and "Traceback" not in said, said
    if ranks > 1:
        assert took < 60 and "lost another process" in said, said
    else:
        assert took < 30 and f"process {victim}, which reads images, was ended from outside by SIGKILL" in said, said
    processes = start_ranks(log, ranks, "train", "--resume", run)
    assert wait(processes, 300) and not any(process.exitcode for process in processes), log.read_text()
    assert [row["iteration"] for row in read_rows(run)] == list(range(1, 1 + 6 // ranks))
    return took


def kill_often(inputs, folder, count):
    draw, times = random.Random(SEED), []
    for number in range(3 * count):
        here = folder / str(number)
        here.mkdir()
        took = kill_a_part(inputs, here, draw, 1 + number % 2)
        times += [] if took is None else [took]
        if len(times) == count:
            return max(times)
    raise AssertionError(f"only {len(times)} of {3 * count} runs were still at work")


@pytest.mark.reliability
@pytest.mark.timeout(3600)
@linux
def test_many_killed_workers_and_ranks(inputs, tmp_path):
    longest = kill_often(inputs, tmp_path, COUNT)
    print(f"{COUNT} were killed; the longest end took {longest:.1f} s")
