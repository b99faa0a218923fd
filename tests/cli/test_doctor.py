"""`maskzoo doctor`, in processes of their own: what it reads belongs to the process."""

import json
import os
import subprocess
import sys


def doctor(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "maskzoo", "doctor", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
    )


def test_a_machine_in_order_is_listed_with_exit_code_0():
    done = doctor(OMP_NUM_THREADS="1", COLUMNS="100", CUDA_VISIBLE_DEVICES="")
    lines = done.stdout.splitlines()
    assert (done.stderr, done.returncode) == ("", 0)
    assert any(line.startswith("ok ") and "backend eager" in line for line in lines)
    assert lines[-1].startswith("0 problems, ")
    assert max(len(line) for line in lines) <= 100


def test_a_problem_is_told_to_a_script_with_exit_code_1(tmp_path):
    (tmp_path / "file").write_text("")
    done = doctor("--json", MASKZOO_HOME=str(tmp_path / "file" / "cache"), OMP_NUM_THREADS="1")
    found = json.loads(done.stdout)
    findings = {finding["topic"]: finding for finding in found["findings"]}
    assert done.returncode == 1 and found["problems"] >= 1
    assert findings["cache"]["judgement"] == "problem"
    assert "MASKZOO_HOME" in findings["cache"]["advice"]
