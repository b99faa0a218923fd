"""Cases that may crash or hang, in a child process whose parent watches it: what falls is counted, and the next case comes."""

import json
import os
import signal
import subprocess
import sys
import time
import traceback
import warnings
from dataclasses import dataclass
from functools import cache

import pytest

ALONE = "MASKZOO_TEST_ALONE"
LONGEST = 120  # seconds without an answer, on a machine that may be busy: the child is ended

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks the process that is watched")


def is_alone(request):
    """Whether this process was started for the tests of this file alone; if not, they are run in such a process, and must pass.

    What tests before them have left would count as their own: threads that hotcoco began, for which a fork would wait for
    ever, objects of other threads, how this process keeps memory.
    """
    path, long = str(request.path), request.node.get_closest_marker("reliability") is not None
    if os.environ.get(ALONE) == path:
        return True
    done = _run_alone(path, "reliability" if long else "not reliability")
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    return False


@cache
def _run_alone(path, marks):
    command = [sys.executable, "-m", "pytest", "-s", "-m", marks, "-p", "no:cacheprovider", path]
    done = subprocess.run(command, env=os.environ | {ALONE: path}, capture_output=True, text=True, check=False)
    print(done.stdout)
    return done


@dataclass(frozen=True, slots=True)
class Case:
    """What became of a case: the `answer` of the work, the `seconds` of a core, or the `fault` in words."""

    number: int
    answer: object = None
    seconds: float = 0.0
    fault: str = ""


def watch(work, count, folder, first=0, longest=LONGEST):
    """Call `work(number)` for `count` numbers from `first` on, in a child; one that dies or hangs is replaced by the next.

    Whatever `work` raises is a fault of its case, and so are a death and `longest` seconds of silence.

    Args:
        work: gives something that JSON can hold.
        count: how many cases.
        folder: for the file of answers, which outlives the child.
        first: the first case's number.
        longest: seconds.

    Returns:
        The answers in order. Fails with the first faults if there is any.
    """
    log = folder / f"answers-{first}"
    log.touch()
    while (done := len(lines := log.read_text().splitlines())) < count:
        child = os.fork()
        if child == 0:
            _work(work, range(first + done, first + count), log)
        died = _wait(child, log, longest)
        if died and (done := len(log.read_text().splitlines())) < count:
            with log.open("a") as stream:
                stream.write(json.dumps([None, 0.0, died]) + "\n")
    cases = [Case(number, *json.loads(line)) for number, line in enumerate(lines, first)]
    faults = [f"{case.number}: {case.fault}" for case in cases if case.fault]
    assert faults == [], f"{len(faults)} of {count}\n" + "\n".join(faults[:20])
    return [case.answer for case in cases]


def within(seconds, work):
    """Return what `work` gives; once more if it took a core longer than so many seconds, which only a slow one does twice."""
    for _ in range(2):
        began = time.process_time()
        found = work()
        if time.process_time() - began <= seconds:
            return found
    raise AssertionError(f"took {time.process_time() - began:.1f} s of a core")


def _work(work, numbers, log):
    warnings.simplefilter("ignore")  # as those who use the package have it: a warning of a library is no error
    out = os.open(log, os.O_WRONLY | os.O_APPEND)
    try:
        for number in numbers:
            began, answer, fault = time.process_time(), None, ""
            try:
                answer = work(number)
            except BaseException as error:
                fault = f"{type(error).__name__}: {error}"[:500] + "".join(traceback.format_tb(error.__traceback__)[-3:])
            seconds = round(time.process_time() - began, 6)
            os.write(out, (json.dumps([answer, seconds, fault]) + "\n").encode())
        os._exit(0)
    finally:
        os._exit(1)


def _wait(child, log, longest):
    """Wait for a child; return how it died, or an empty text."""
    size, since = -1, time.monotonic()
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return "" if status == 0 else f"the process ended with {os.waitstatus_to_exitcode(status)}"
        if log.stat().st_size != size:
            size, since = log.stat().st_size, time.monotonic()
        elif time.monotonic() - since > longest:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return f"no answer within {longest} s"
        time.sleep(0.01)
