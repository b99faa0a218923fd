"""The whole story offline, in minutes on two CPU cores: make a data set, check it, train, measure, predict, look at the report.

    python examples/demo.py [--out demo-out]

Every step is the command line that a user would type. The network (examples/shapes.yml) starts from random weights.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

from shapes import make_data

HERE = Path(__file__).resolve().parent
MODEL = HERE / "shapes.yml"
TRAIN, VAL = 800, 100  # pictures
WANTED = 0.6  # mask AP on pictures that it was not trained on


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("demo-out"), help="the folder for data, run and pictures")
    out = parser.parse_args().out
    began = time.monotonic()
    shutil.rmtree(out, ignore_errors=True)
    data, run, pictures = out / "shapes", out / "run", out / "pictures"

    say(f"{TRAIN} pictures of textured shapes to train on and {VAL} to measure on, into {data}")
    make_data(data, train=TRAIN, val=VAL)
    command("data", "check", data)
    command("data", "show", data, "--out", out / "data.jpg", "--count", 20)
    settings = ("--batch", 4, "--workers", 0, "--set", "run.ema=0.995", "--set", "run.evaluate_every=4")
    command("train", MODEL, data, "--from", "none", *settings, "--out", run)
    best = run / "best.safetensors"
    command("eval", best, data, "--out", out / "evaluation")
    some = sorted((data / "val").glob("*.png"))[:6]
    command("predict", best, *some, "--out", pictures, "--set", "limits.detections.score=0.5")

    metrics = json.loads((out / "evaluation" / "metrics.json").read_text())
    ap = metrics["mask"]["AP"]
    say(f"mask AP {ap:.3f} on {VAL} pictures that the network had not seen; {time.monotonic() - began:.0f} s in all")
    for what, path in (("data", out / "data.jpg"), ("report", run / "report.html"), ("pictures", pictures)):
        print(f"  {what:8s} {path}")
    if ap < WANTED:
        sys.exit(f"expected {WANTED} or more: that is a bug, please report it")


def say(text: str) -> None:
    print(f"\n== {text}", flush=True)


def command(*words: object) -> None:
    """Run one command of maskzoo, as it would be typed."""
    typed = ["maskzoo", *map(str, words)]
    say(" ".join(typed))
    done = subprocess.run([sys.executable, "-m", *typed], check=False)
    if done.returncode:
        sys.exit(done.returncode)


if __name__ == "__main__":
    main()
