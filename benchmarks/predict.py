"""Time a whole prediction, photo to run-length masks, against torchvision and PaddleDetection: same photo, same weights.

    benchmarks/peers.sh torchvision paddle detectron2     # once: each in a virtual environment of its own
    python benchmarks/predict.py [--rounds 5] [--threads 1 2] [--dtypes float32 bfloat16 int8] [--peers torchvision paddle]
        [--networks paddledetection torchvision detectron2]

Every contender runs in processes of its own, one after the other, A B A B: these are ratios of one run, not bare times.
R50-FPN, a photo that fills 800x1216, rule-made weights, 1,000 proposals and 100 detections (counted, and written into the
result). Then the networks of torchvision and of detectron2 themselves, by rule-made weights that were converted: the library
against maskzoo, in float32, with what `maskzoo.verify` finds different, written into predict_converted.json. The photo is made
up, and so are those that int8 is calibrated on: no contender's time depends on what they show.
"""

import os
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from scripts import HERE, NO_GPU, ROW, find_peer, make_parser, tell

import maskzoo
from maskzoo.bench.processes import describe_machine, median_of, run_process, take_turns, write_result
from weights import write_converted, write_weights

SIZE = (427, 640)  # becomes 800 x 1199, on a canvas of 800 x 1216
CALIBRATION = 4  # photos
NETWORKS = {"torchvision": "tv_r50_fpn", "detectron2": "d2_r50_fpn"}  # of libraries, converted
COMPARED = ("ours", "theirs", "matched", "box_error", "score_error", "least_mask_iou")
DTYPES = ["float32", "bfloat16", "int8"]


def main():
    parser = make_parser(__doc__, "predict.json", rounds=5)
    parser.add_argument("--repeats", type=int, default=3, help="predictions in a process, after one that is not counted")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--dtypes", nargs="+", default=DTYPES, choices=DTYPES)
    parser.add_argument("--peers", nargs="+", default=["torchvision", "paddle"], choices=["torchvision", "paddle"])
    networks = ["paddledetection", *NETWORKS]
    parser.add_argument("--networks", nargs="+", default=networks, choices=networks, help="whose networks run")
    options = parser.parse_args()
    libraries = [library for library in NETWORKS if library in options.networks]
    contenders = list_contenders(options.dtypes, options.peers) if "paddledetection" in options.networks else {}
    for library in libraries:
        contenders |= list_converted(library)
    run = {"machine": describe_machine(), "rounds": options.rounds}
    published, converted = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        job = {"folder": str(make_inputs(Path(folder))), "repeats": options.repeats}
        equal = {library: convert_and_compare(library, Path(folder)) for library in libraries}
        for python, contender in contenders.values():
            if contender["backend"] == "openvino":  # writes the network down, which must not count as its memory
                run_worker(python, job | contender | {"threads": os.cpu_count(), "repeats": 0})
        for threads in options.threads:

            def measure(name, threads=threads):
                python, contender = contenders[name]
                return run_worker(python, job | contender | {"threads": threads})

            runs = take_turns(contenders, options.rounds, measure, tell(f"{threads} thread(s)"))
            table = {name: summarize(values) for name, values in runs.items()}
            report(threads, table, libraries)
            converted[str(threads)] = {name: row for name, row in table.items() if "of_library" in row}
            published[str(threads)] = {name: row for name, row in table.items() if "of_library" not in row}
    if "paddledetection" in options.networks:
        write_result(options.out, run | {"runs": published})
    if libraries:
        write_result(options.out.with_name("predict_converted.json"), run | {"equal": equal, "runs": converted})


def list_contenders(dtypes, peers):
    """By name: whose Python runs it, and what its process is told."""
    own, torchvision = sys.executable, find_peer("torchvision")

    def describe(contender, dtype, backend="eager", keep=False):
        return {"contender": contender, "dtype": dtype, "backend": backend, "keep": keep}

    found = {"torchvision float32": (torchvision, describe("torchvision", "float32"))}
    if "paddle" in peers:
        found["PaddleDetection float32"] = (find_peer("paddle"), describe("PaddleDetection", "float32"))
    for dtype in dtypes:
        if dtype != "int8":  # NNCF 3.4 stops at torchvision's graph ("Could not find a node" of a conditional's inside)
            name = f"torchvision in OpenVINO {dtype}, no pasting"
            found[name] = (torchvision, describe("torchvision in OpenVINO", dtype, "runtime"))
            found[f"maskzoo {dtype}"] = (own, describe("maskzoo", dtype))
            found[f"maskzoo {dtype}, freed memory kept"] = (own, describe("maskzoo", dtype, keep=True))
        for keep in [False, True] if dtype == "int8" else [False]:
            name = f"maskzoo in OpenVINO {dtype}" + ", freed memory kept" * keep
            found[name] = (own, describe("maskzoo in OpenVINO", dtype, "openvino", keep))
    return found


def list_converted(library):
    """A library's own network in the library and in maskzoo."""
    told = {"library": library, "dtype": "float32", "backend": "eager"}
    return {
        f"{library}'s network in {library}": (find_peer(library), told | {"contender": "library"}),
        f"{library}'s network in maskzoo": (sys.executable, told | {"contender": "converted", "keep": False}),
        f"{library}'s network in maskzoo, freed memory kept": (sys.executable, told | {"contender": "converted", "keep": True}),
    }


def convert_and_compare(library, folder):
    """Write the network for both, and return how their predictions of a photo differ."""
    write_converted(library, NETWORKS[library], folder / library)
    photo = folder / "photos" / "1.png"
    found = maskzoo.verify(folder / library / "mine.safetensors", photo, library, python=find_peer(library)).to_dict()
    return {key: found[key] for key in ("versions", "faults")} | {key: found["photos"][0][key] for key in COMPARED}


def make_inputs(folder):
    """Weights for all contenders, a photo, and a folder of others to calibrate on, by seed."""
    write_weights(ROW, folder)
    np.save(folder / "photo.npy", make_photo(0))
    (folder / "photos").mkdir()
    for seed in range(1, CALIBRATION + 1):
        Image.fromarray(make_photo(seed)).save(folder / "photos" / f"{seed}.png")
    return folder


def make_photo(seed):
    noise = np.random.default_rng(seed).integers(0, 256, (SIZE[0] // 7 + 1, SIZE[1] // 7 + 1, 3), np.uint8)
    return noise.repeat(7, 0).repeat(7, 1)[: SIZE[0], : SIZE[1]]


def run_worker(python, job):
    environment = NO_GPU | {"FLAGS_paddle_num_threads": str(job["threads"])}
    return run_process([python, HERE / "predict_worker.py"], job, threads=job["threads"], environment=environment)


def summarize(values):
    """The median over processes of each figure; `stages` likewise."""
    return {
        "seconds": median_of(values, "seconds", 3),
        "all_seconds": [round(value["seconds"], 3) for value in values],
        "peak_memory_mb": median_of(values, "peak_memory_mb"),
        "stages_ms": {stage: median_of([value["stages_ms"] for value in values], stage, 1) for stage in values[0]["stages_ms"]},
        "proposals": values[0].get("proposals"),
        "detections": values[0]["detections"],
        "versions": values[0]["versions"],
    }


def report(threads, table, libraries):
    """Add each contender's ratios to its row, and print them."""
    for library in libraries:
        theirs = table[f"{library}'s network in {library}"]["seconds"]
        for name in [name for name in table if name.startswith(f"{library}'s network")]:
            seconds = table[name]["seconds"]
            table[name]["of_library"] = round(seconds / theirs, 3)
            print(f"  {threads} thread(s)  {name:55s} {seconds / theirs:7.3f} of {library} {seconds:9.2f} s")
    if "torchvision float32" in table:
        report_published(threads, {name: row for name, row in table.items() if "of_library" not in row})


def report_published(threads, table):
    """The ratios of a published network to torchvision and PaddleDetection."""
    base, paddle = table["torchvision float32"], table.get("PaddleDetection float32")
    print(f"\n{threads} thread(s)                              of torchvision   seconds   peak MB")
    for name, row in table.items():
        row["of_torchvision"] = round(row["seconds"] / base["seconds"], 3)
        if paddle is not None:
            row["of_paddledetection"] = round(row["seconds"] / paddle["seconds"], 3)
        if row["stages_ms"]:
            pooled, theirs = (values["stages_ms"]["box RoIAlign"] for values in (row, base))
            row["roi_align_of_torchvision"] = round(pooled / theirs, 3)
        print(f"  {name:45s} {row['of_torchvision']:7.2f} {row['seconds']:11.2f} {row['peak_memory_mb']:9.0f}")
    told = {name: row["stages_ms"] for name, row in table.items() if row["stages_ms"]}
    print(f"  stages, ms: {' | '.join(told)}")
    for stage in base["stages_ms"]:
        print(f"  {stage:40s}", *(f"{stages[stage]:10.1f}" for stages in told.values()))


if __name__ == "__main__":
    main()
