"""How threads wait, in processes of their own: OpenMP reads it once, when torch is loaded."""

import json
import os
import subprocess
import sys

import pytest

from maskzoo.system.waiting import OWN, SWITCHES

TELL = """
import dataclasses, json, os
from maskzoo.system.waiting import choose_waiting
print(json.dumps([dict(os.environ), dataclasses.asdict(choose_waiting())]))
"""
# What the environment was when torch was first looked for: libgomp cannot have been loaded before.
WATCH = """
import json, os, sys
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            print(json.dumps(dict(os.environ)), flush=True)
            sys.meta_path.remove(self)
sys.meta_path.insert(0, Watch())
"""


def run(code, **given):
    clean = {name: value for name, value in os.environ.items() if name not in SWITCHES}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=clean | given, check=False)
    return done.stdout.splitlines()


def pick(environment):
    return {name: environment[name] for name in SWITCHES if name in environment}


@pytest.mark.parametrize(
    "use",
    [
        "import maskzoo; maskzoo.load",
        "from maskzoo.inference.predictor import Predictor",
        "import maskzoo.bench.worker",
        "from maskzoo.cli import main; main(['doctor'])",
    ],
)
def test_it_is_set_before_torch_is_loaded(use):
    assert pick(json.loads(run(WATCH + use)[0])) == OWN


def test_libgomp_takes_the_value():
    """It prints what is in force when it is loaded; other builds of OpenMP print their own."""
    code = "import maskzoo; maskzoo.load"
    clean = {name: value for name, value in os.environ.items() if name not in SWITCHES} | {"OMP_DISPLAY_ENV": "VERBOSE"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=clean, check=True)
    if "GOMP_SPINCOUNT" not in done.stderr:
        pytest.skip("torch's OpenMP is not libgomp")
    assert f"GOMP_SPINCOUNT = '{OWN['GOMP_SPINCOUNT']}'" in done.stderr


@pytest.mark.parametrize("name", SWITCHES)
def test_a_value_of_your_own_stands_alone(name):
    value = "PASSIVE" if name == "OMP_WAIT_POLICY" else "throughput" if name == "KMP_LIBRARY" else "77"
    environment, waiting = json.loads(run(TELL, **{name: value})[0])
    assert pick(environment) == {name: value}
    assert waiting == {"settings": [f"{name}={value}"], "own": False, "late": False}


def test_processes_that_it_starts_inherit_it_as_maskzoo_s_own():
    code = f"import maskzoo, subprocess, sys; subprocess.run([sys.executable, '-c', {TELL!r}], check=True)"
    environment, waiting = json.loads(run(code)[0])
    assert pick(environment) == OWN
    assert waiting["own"] and not waiting["late"]


def test_it_says_when_torch_was_there_first():
    environment, waiting = json.loads(run("import torch" + TELL)[0])
    assert waiting["late"]
    assert pick(environment) == OWN  # for the processes that it starts
    assert not json.loads(run("import maskzoo, torch" + TELL)[0])[1]["late"]


def test_a_thread_that_lets_go_of_its_team_computes_as_before():
    code = """
import os, torch
from maskzoo.system.waiting import release_team
def count(): return len(os.listdir("/proc/self/task"))
torch.set_num_threads(3)
numbers = torch.arange(1_000_000.0)
first = numbers.exp().sum()
most, ended, least = count(), release_team(), count()
print(ended, most - least, bool(numbers.exp().sum() == first), count() - least, torch.get_num_threads())
"""
    if sys.platform != "linux":
        pytest.skip("counts threads as Linux lists them")
    assert run(code) == ["True 2 True 2 3"]
