"""Images per second on a GPU, predicted and trained on, of every row against torchvision's network on the same GPU.

    python benchmarks/gpu.py [--rows mask_rcnn_r50_fpn_1x_coco ...] [--batches 1 8] [--dtypes float32 bfloat16 float16]
    python benchmarks/gpu.py --device cpu --rows mask_rcnn_r50_fpn_1x_coco --size small --rounds 1      # does it run?

Without a GPU it does nothing and exits with 77. Rows of one network are measured once. torchvision has no C4 heads and no
variant d: rows of a variant d stand beside its nearest network, which has a cheaper stem, and are marked.

- prediction: a photo in memory to 800 x 1199 and on to run-length masks. torchvision ends earlier, with its own result:
  masks of the photo's size on the GPU, neither thresholded nor copied nor encoded. Its reduced types run under autocast.
- training: a step on images that are ready in memory, 512 RoIs of each, 128 of them foreground, the same in both; autocast.

Every contender runs in processes of its own, one after the other, A B A B: these are ratios of one run. Calls are timed
from start to the GPU's standing still, after two that are not counted; memory is the most that tensors took.
"""

import sys
import tempfile
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import numpy as np
import torch
from predict import make_photo
from scripts import HERE, NO_GPU, RESULTS, find_peer, make_parser, tell
from train import make_inputs

from maskzoo.bench.processes import describe_machine, median_of, run_process, take_turns, write_result
from maskzoo.zoo.rows import names, read_row

SKIPPED = 77
SIZES = {"full": (800, 1333), "small": (64, 96)}  # the short and the long side that photos get
TRAINED = {"full": (800, 1199), "small": (64, 96)}
CONTENDERS = ("maskzoo", "torchvision")


def main():
    options = parse_options()
    if options.device == "cuda" and not torch.cuda.is_available():
        print(f"gpu.py: skipped, PyTorch {torch.__version__} sees no GPU here", file=sys.stderr)
        sys.exit(SKIPPED)
    peer = sys.executable if find_spec("torchvision") else find_peer("torchvision")
    cases = [
        {"task": task, "dtype": dtype, "batch": batch}
        for task, dtype, batch in product(("prediction", "training"), options.dtypes, options.batches)
        if (task, dtype) != ("training", "float16")  # whose losses would have to be scaled: bfloat16 is as fast
    ]
    result = {"machine": describe(options.device), "size": options.size, "rounds": options.rounds, "networks": []}
    for rows in group_rows(options.rows):
        with tempfile.TemporaryDirectory() as folder:
            make_inputs(Path(folder), rows[0], TRAINED[options.size])
            np.save(Path(folder) / "photo.npy", make_photo(0))
            job = {"row": rows[0], "folder": folder, "device": options.device, "size": SIZES[options.size]}
            runs = run(rows[0], job | {"cases": cases, "repeats": options.repeats}, peer, options.rounds)
        kept = [row for row in rows if row in options.rows]
        result["networks"].append({"rows": kept, "same_network": "_vd_" not in rows[0]} | summarize(runs))
        if options.out is not None:  # after each network: what is measured stays, whatever comes later
            write_result(options.out, result)
        report(result["networks"][-1])


def parse_options():
    parser = make_parser(__doc__, None, rounds=3)
    parser.add_argument("--rows", nargs="+", default=list(names()), choices=names(), metavar="ROW")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--dtypes", nargs="+", choices=["float32", "bfloat16", "float16"])
    parser.add_argument("--repeats", type=int, default=10, help="measured calls of each case in a process")
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--size", default="full", choices=SIZES)
    options = parser.parse_args()
    options.dtypes = options.dtypes or (["float32", "bfloat16", "float16"] if options.device == "cuda" else ["float32"])
    if options.out is None and (options.device, options.size) == ("cuda", "full"):
        options.out = RESULTS / "gpu.json"
    return options


def group_rows(chosen):
    """The rows of each network of which one is chosen; the first of a group is the one whose names of weights are known."""
    groups = {}
    for row in names():
        config = read_row(row)
        groups.setdefault(repr((config.network, config.input, config.limits)), []).append(row)
    return [rows for rows in groups.values() if set(rows) & set(chosen)]


def run(row, job, peer, rounds):
    contenders = {"maskzoo": sys.executable} | ({"torchvision": peer} if "fpn" in row else {})
    environment = NO_GPU if job["device"] == "cpu" else {}

    def measure(name):
        return run_process([contenders[name], HERE / "gpu_worker.py"], job | {"contender": name}, environment=environment)

    return take_turns(contenders, rounds, measure, tell(row))


def summarize(runs):
    """Each case with the median of its rounds by contender, and how many times as fast as torchvision maskzoo is."""
    cases = []
    for place, case in enumerate(runs["maskzoo"][0]["cases"]):
        row = {key: case[key] for key in ("task", "dtype", "batch")}
        for name, values in runs.items():
            found = [value["cases"][place] for value in values]
            row[name] = {key: found[0][key] for key in ("refused", "counted") if key in found[0]}
            if not any("refused" in one for one in found):
                speed = median_of(found, "images_per_second", 3)
                row[name] |= {"images_per_second": speed, "memory_mb": found[0]["memory_mb"]}
        speeds = [row.get(name, {}).get("images_per_second") for name in CONTENDERS]
        row["times_torchvision"] = round(speeds[0] / speeds[1], 3) if all(speeds) else None
        cases.append(row)
    return {"cases": cases, "versions": {name: values[0]["versions"] for name, values in runs.items()}}


def describe(device):
    gpu = {"gpu": torch.cuda.get_device_name()} if device == "cuda" else {}
    return describe_machine() | gpu


def report(network):
    print(f"\n{', '.join(network['rows'])}{'' if network['same_network'] else ' (torchvision: the nearest network)'}")
    for case in network["cases"]:
        words = [f"  {case['task']:10s} {case['dtype']:9s} batch {case['batch']}"]
        for name in CONTENDERS:
            value = case.get(name, {"refused": "not there"})
            speed = value.get("images_per_second")
            memory = f", {value['memory_mb']} MB" if value.get("memory_mb") else ""
            words.append(f"{name} {value['refused'] if speed is None else f'{speed:.2f} images/s{memory}'}")
        print("; ".join(words) + (f"; {case['times_torchvision']:.2f} times" if case["times_torchvision"] else ""))


if __name__ == "__main__":
    main()
