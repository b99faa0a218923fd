"""The notebooks run offline, from the first cell to the last, and hold the pictures that they made."""

import json
import subprocess
import sys

import pytest

from shared_data import ROOT

NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))


def test_there_are_three_and_each_holds_a_picture_and_no_error():
    assert [path.stem for path in NOTEBOOKS] == ["export_and_deploy", "own_data", "quickstart"]
    for path in NOTEBOOKS:
        outputs = [output for cell in json.loads(path.read_text())["cells"] for output in cell.get("outputs", ())]
        assert any("image/png" in output.get("data", {}) or "image/jpeg" in output.get("data", {}) for output in outputs), path
        assert not any(output["output_type"] == "error" for output in outputs), path


@pytest.mark.slow
def test_the_notebooks_run(tmp_path):
    pytest.importorskip("nbclient", reason="notebooks are run by pip install 'maskzoo[dev]'")
    command = [sys.executable, ROOT / "tools" / "run_notebooks.py", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in sorted(tmp_path.iterdir())] == [path.name for path in NOTEBOOKS]
