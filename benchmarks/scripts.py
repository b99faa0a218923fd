"""What the scripts of this folder share: their places, their options, and the line that tells which process runs."""

import argparse
import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "results"
PEERS = Path(os.environ.get("MASKZOO_PEERS", Path.home() / ".cache" / "maskzoo-peers"))
SHARED = Path(os.environ.get("MASKZOO_SHARED", HERE.parent.parent / "shared"))
ROW = "mask_rcnn_r50_fpn_1x_coco"
NO_GPU = {"CUDA_VISIBLE_DEVICES": ""}


def make_parser(description, result, rounds=None):
    """A parser with --out, by default the `result` of this name, and, if contenders take turns, --rounds."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=result and RESULTS / result)
    if rounds is not None:
        parser.add_argument("--rounds", type=int, default=rounds, help="interleaved processes of each contender")
    return parser


def find_peer(name):
    """The Python of a peer's virtual environment."""
    python = PEERS / name / "bin" / "python"
    if not python.exists():
        sys.exit(f"{python} is not there: run benchmarks/peers.sh {name} first")
    return python


def tell(title):
    """What prints a round's events, after a `title`."""
    start = f"{title}, " if title else ""
    return lambda event: print(f"{start}round {event.done}/{event.total}: {event.stage}", file=sys.stderr)
