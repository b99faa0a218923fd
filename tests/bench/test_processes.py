import json
import os
import sys

import pytest

from maskzoo.bench.processes import describe_machine, median_of, run_process, take_turns, write_result
from maskzoo.errors import BenchmarkError
from maskzoo.progress import ProgressEvent

ECHO = """
import json, os, sys
job = json.load(sys.stdin)
print("a library prints as it likes")
print(json.dumps({"job": job, "threads": os.environ["OMP_NUM_THREADS"], "own": os.environ["MASKZOO_TEST"]}))
print("at its end too")
"""


def run_code(code, *arguments, **options):
    return run_process([sys.executable, "-c", code], *arguments, **options)


def test_a_process_gets_its_job_and_environment_and_its_answer_is_found_among_other_lines():
    found = run_code(ECHO, {"images": ["a"]}, threads=3, environment={"MASKZOO_TEST": "yes"})
    assert found == {"job": {"images": ["a"]}, "threads": "3", "own": "yes"}
    assert "MASKZOO_TEST" not in os.environ


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import sys; sys.exit('no such photo')", r"ended with exit code 1: no such photo"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", r"was killed by signal 9 and printed nothing"),
        ("print('1 image')", r"ended with exit code 0 and printed nothing"),
    ],
)
def test_a_process_that_fails_or_answers_nothing_is_an_error_with_its_last_words(code, message):
    with pytest.raises(BenchmarkError, match=message):
        run_code(code)


def test_contenders_take_turns_and_every_measurement_is_announced():
    order, events = [], []
    runs = take_turns(["a", "b"], 2, lambda name: order.append(name) or len(order), events.append)
    assert order == ["a", "b", "a", "b"]
    assert runs == {"a": [1, 3], "b": [2, 4]}
    assert events[2] == ProgressEvent("a", 2, 2, "rounds")


def test_a_median_is_rounded_to_its_digits():
    runs = [{"s": 1.26}, {"s": 9.0}, {"s": 1.0}]
    assert median_of(runs, "s", 1) == 1.3
    assert repr(median_of(runs, "s")) == "1"


def test_a_result_is_written_with_the_machine_that_it_was_measured_on(tmp_path):
    machine = describe_machine()
    assert machine["processor"] and machine["cores"] >= 1
    write_result(tmp_path / "new" / "result.json", {"machine": machine})
    assert json.loads((tmp_path / "new" / "result.json").read_text()) == {"machine": machine}
