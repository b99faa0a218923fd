"""Time a whole prediction, photo to run-length masks, against torchvision's Mask R-CNN on the same photo and weights.

    benchmarks/peers.sh torchvision        # once: torchvision in a virtual environment of its own
    python benchmarks/predict.py [--rounds 5] [--dtypes float32 bfloat16] [--threads 1 2]

Every contender runs in processes of its own, one after the other, A B A B: these are ratios of one run, not bare times.
R50-FPN, a photo that fills 800x1216, rule-made weights of equal shape and law in both, 1,000 proposals and 100 detections
(counted, and written into the result). The photo is made up; no contender's time depends on what it shows.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
PEERS = Path(os.environ.get("MASKZOO_PEERS", Path.home() / ".cache" / "maskzoo-peers"))
ROW = "mask_rcnn_r50_fpn_1x_coco"
SIZE = (427, 640)  # becomes 800 x 1199, on a canvas of 800 x 1216


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="interleaved processes of each contender")
    parser.add_argument(
        "--repeats", type=int, default=3, help="predictions in a process, after one that is not counted"
    )
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--dtypes", nargs="+", default=["float32"], choices=["float32", "bfloat16"])
    parser.add_argument("--out", type=Path, default=HERE / "results" / "predict.json")
    options = parser.parse_args()
    peer = PEERS / "torchvision" / "bin" / "python"
    if not peer.exists():
        sys.exit(f"{peer} is not there: run benchmarks/peers.sh torchvision first")
    result = {"machine": describe_machine(), "rounds": options.rounds, "runs": {}}
    with tempfile.TemporaryDirectory() as folder:
        inputs = make_inputs(Path(folder))
        for threads in options.threads:
            contenders = {"torchvision float32": (peer, "torchvision", "float32", False)}
            for dtype in options.dtypes:
                contenders[f"torchvision in OpenVINO {dtype}, no pasting"] = (peer, "torchvision in OpenVINO", dtype, False)
                contenders[f"maskzoo {dtype}"] = (sys.executable, "maskzoo", dtype, False)
                contenders[f"maskzoo {dtype}, freed memory kept"] = (sys.executable, "maskzoo", dtype, True)
            runs = {name: [] for name in contenders}
            for number in range(options.rounds):
                for name, (python, which, dtype, keep) in contenders.items():
                    print(f"{threads} thread(s), round {number + 1}/{options.rounds}: {name}", file=sys.stderr)
                    runs[name].append(run_worker(python, which, dtype, keep, threads, options.repeats, inputs))
            result["runs"][str(threads)] = {name: summarize(values) for name, values in runs.items()}
    for threads, table in result["runs"].items():
        report(threads, table)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n")


def describe_machine():
    """The processor in words; capabilities decide which types are fast."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    fields = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
    fields = {key.strip(): value.strip() for key, value in fields.items()}
    flags = fields.get("flags", "").split()
    known = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16") if flag in flags]
    return {"processor": fields.get("model name", platform.processor()), "cores": os.cpu_count(), "extensions": known}


def make_inputs(folder):
    """Weights for both contenders, and a photo, by seed."""
    import numpy as np

    sys.path.insert(0, str(HERE.parent / "tests"))
    from pdparams_files import rule_state, write_pdparams

    manifest = json.loads((HERE.parent / "tests" / "golden" / "manifest" / f"{ROW}.json").read_text())
    state = rule_state(manifest, "benchmark")
    write_pdparams(folder / f"{ROW}.pdparams", state)
    np.savez(folder / "torchvision.npz", **to_torchvision(state))
    noise = np.random.default_rng(0).integers(0, 256, (SIZE[0] // 7 + 1, SIZE[1] // 7 + 1, 3), np.uint8)
    np.save(folder / "photo.npy", noise.repeat(7, 0).repeat(7, 1)[: SIZE[0], : SIZE[1]])
    return folder


def to_torchvision(state):
    """The same weights under torchvision's names, so that both find as much to do."""
    import numpy as np

    named = {}
    branches = {"branch2a": "1", "branch2b": "2", "branch2c": "3"}
    norm = {"weight": "weight", "bias": "bias", "_mean": "running_mean", "_variance": "running_var"}
    plain = {
        "rpn_head.rpn_feat.rpn_conv": "rpn.head.conv.0.0",
        "rpn_head.rpn_rois_score": "rpn.head.cls_logits",
        "rpn_head.rpn_rois_delta": "rpn.head.bbox_pred",
        "bbox_head.head.fc6": "roi_heads.box_head.fc6",
        "bbox_head.head.fc7": "roi_heads.box_head.fc7",
        "mask_head.head.upsample.conv5_mask": "roi_heads.mask_predictor.conv5_mask",
    }
    for index in range(4):
        plain[f"mask_head.head.upsample.mask_inter_feat_{index + 1}"] = f"roi_heads.mask_head.{index}.0"
        lateral = "" if index == 3 else "_lateral"
        plain[f"neck.fpn_inner_res{index + 2}_sum{lateral}"] = f"backbone.fpn.inner_blocks.{index}.0"
        plain[f"neck.fpn_res{index + 2}_sum"] = f"backbone.fpn.layer_blocks.{index}.0"
    for name, value in state.items():
        module, entry = name.rsplit(".", 1)
        parts = module.split(".")
        if parts[0] == "backbone":
            kind = parts[-1]  # conv or norm
            if parts[1] == "conv1":
                target = "backbone.body.conv1" if kind == "conv" else "backbone.body.bn1"
            else:
                stage, block = int(parts[1][3]) - 1, ord(parts[2][4]) - ord("a")
                layer = f"backbone.body.layer{stage}.{block}"
                if parts[3] == "short":
                    target = f"{layer}.downsample.{0 if kind == 'conv' else 1}"
                else:
                    target = f"{layer}.{'conv' if kind == 'conv' else 'bn'}{branches[parts[3]]}"
            named[f"{target}.{entry if kind == 'conv' else norm[entry]}"] = value
        elif module in plain:
            named[f"{plain[module]}.{entry}"] = value.T if value.ndim == 2 else value
        elif module == "bbox_head.bbox_score":  # background is torchvision's first class
            named[f"roi_heads.box_predictor.cls_score.{entry}"] = np.roll(value.T if value.ndim == 2 else value, 1, 0)
        elif module == "bbox_head.bbox_delta":
            rows = value.T if value.ndim == 2 else value
            empty = np.zeros((4, *rows.shape[1:]), rows.dtype)
            named[f"roi_heads.box_predictor.bbox_pred.{entry}"] = np.concatenate([empty, rows])
        elif module == "mask_head.mask_fcn_logits":
            named[f"roi_heads.mask_predictor.mask_fcn_logits.{entry}"] = np.concatenate([value[:1], value])
    return named


def run_worker(python, which, dtype, keep, threads, repeats, folder):
    command = [python, HERE / "predict_worker.py", which, dtype, str(int(keep)), str(threads), str(repeats), folder]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        sys.exit(f"{which} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def summarize(values):
    """The median over processes of each figure; `stages` likewise."""
    from statistics import median

    return {
        "seconds": round(median(value["seconds"] for value in values), 3),
        "all_seconds": [round(value["seconds"], 3) for value in values],
        "peak_memory_mb": round(median(value["peak_memory_mb"] for value in values)),
        "stages_ms": {
            stage: round(median(value["stages_ms"][stage] for value in values), 1) for stage in values[0]["stages_ms"]
        },
        "proposals": values[0].get("proposals"),
        "detections": values[0]["detections"],
        "versions": values[0]["versions"],
    }


def report(threads, table):
    base = table["torchvision float32"]
    print(f"\n{threads} thread(s)                              of torchvision   seconds   peak MB")
    for name, row in table.items():
        ratio = row["seconds"] / base["seconds"]
        row["of_torchvision"] = round(ratio, 3)
        if row["stages_ms"]:
            pooled, theirs = (values["stages_ms"]["box RoIAlign"] for values in (row, base))
            row["roi_align_of_torchvision"] = round(pooled / theirs, 3)
        print(f"  {name:40s} {ratio:12.2f} {row['seconds']:11.2f} {row['peak_memory_mb']:9.0f}")
    told = {name: row["stages_ms"] for name, row in table.items() if row["stages_ms"]}
    print(f"  stages, ms: {' | '.join(told)}")
    for stage in base["stages_ms"]:
        print(f"  {stage:40s}", *(f"{stages[stage]:10.1f}" for stages in told.values()))


if __name__ == "__main__":
    main()
