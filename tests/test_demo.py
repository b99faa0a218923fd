import subprocess
import sys

import pytest

from shared_data import ROOT


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_demo_reaches_the_mask_ap_that_it_promises(tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "demo.py", "--out", tmp_path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for file in ("data.jpg", "run/report.html", "run/best.safetensors", "evaluation/metrics.json"):
        assert (tmp_path / file).stat().st_size > 0
