"""The whole of training can learn: sixteen real photos by heart."""

import json
import subprocess
import sys

import pytest

from shared_data import ROOT, need_shared


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_sixteen_real_photos_are_learnt_by_heart(tmp_path):
    command = [sys.executable, ROOT / "benchmarks" / "by_heart.py", need_shared("data", "coco"), tmp_path, "--first"]
    subprocess.run([str(part) for part in command], check=True)
    metrics = json.loads((tmp_path / "first" / "best-metrics.json").read_text())
    assert metrics["mask"]["AP"] > 0.9
