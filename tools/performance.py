"""The tables of docs/performance.md, from the files in benchmarks/results; what was not measured has no section."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent.parent / "benchmarks" / "results"
INSTRUCTIONS = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx512_bf16": "bfloat16",
    "avx512_vnni": "int8 (VNNI)",
    "amx_bf16": "AMX",
}
# At most these shares of a peer's time, by type: torchvision's, PaddleDetection's.
SHARES = {"float32": (0.50, 0.17), "bfloat16": (0.33, 0.11), "int8": (0.20, 0.07)}
CONVERTED = 0.50  # of the library's own time, float32, one thread
ROI_ALIGN = 0.12
TRAINING = 0.75
EVALUATION = 20.0
READING_SECONDS, READING_MB = 12.0, 1500.0
AP_LOSS = {"bfloat16": 0.3, "int8": 1.0}  # points
MASK_IOU = {"bfloat16": 0.98, "int8": 0.95}
ON_GPU = {"prediction": 2.0, "training": 1.3}  # times as fast as torchvision
GPU_BATCH = 8  # at which they hold
FAIR_SHARE, IDLE_LOSS = 0.6, 0.05  # beside busy loops

Table = dict[str, dict[str, Any]]


def tell_performance() -> str:
    """The whole generated part of the page."""
    sections = {
        "predict": tell_prediction,
        "predict_converted": tell_converted,
        "accuracy": tell_accuracy,
        "throughput": tell_throughput,
        "busy": tell_busy,
        "gpu": tell_gpu,
        "train": tell_training,
        "evaluate": tell_evaluation,
        "read_annotations": tell_reading,
        "loader": tell_loader,
    }
    texts = []
    for name, tell in sections.items():
        file = RESULTS / f"{name}.json"
        if file.exists():
            texts.append("\n".join(tell(json.loads(file.read_text(encoding="utf-8")))) + "\n")
    return "\n".join(texts)


def describe(machine: dict[str, Any]) -> str:
    """A machine in words."""
    can = [INSTRUCTIONS[name] for name in machine.get("extensions", ()) if name in INSTRUCTIONS]
    cores = f"{machine['cores']} core{'s' if machine['cores'] > 1 else ''} of {machine['processor']}"
    return (f"{machine['gpu']}, " if "gpu" in machine else "") + cores + (f" ({', '.join(can)})" if can else "")


def judge(what: str, figure: float, goal: float, least: bool = False, digits: int = 2) -> str:
    """A row of a table of goals: met is what holds unrounded."""
    met = figure >= goal if least else figure <= goal
    bound = f"at {'least' if least else 'most'} {goal:.{digits}f}"
    return f"| {what} | {figure:.{digits}f} | {bound} | {'met' if met else 'not met'} |"


def tabulate(head: Iterable[str], rows: Iterable[str]) -> list[str]:
    cells = list(head)
    return [f"| {' | '.join(cells)} |", "|" + "---|" * len(cells), *rows]


GOALS = ("goal", "figure", "target", "")


def tell_prediction(result: dict[str, Any]) -> Iterator[str]:
    yield "## A photo to run-length masks, R50-FPN, 800 x 1216, 1,000 proposals, 100 masks\n"
    yield (
        f"`python benchmarks/predict.py`, medians over alternating processes, on {describe(result['machine'])}. The fastest "
        "way of each type is compared with the goals."
    )
    for threads, table in result["runs"].items():
        base = table["torchvision float32"]
        yield f"\n### {threads} thread{'s' if threads != '1' else ''}, {len(base['all_seconds'])} processes of each\n"
        yield from tabulate(GOALS, judge_prediction(table))
        yield ""
        peers = ["of torchvision's time"] + (["of PaddleDetection's"] if "of_paddledetection" in base else [])
        head = ["", *peers, "seconds", "RoIAlign, of torchvision's", "peak memory, MB", "proposals", "detections"]
        yield from tabulate(head, (tell_contender(name, row) for name, row in table.items()))
        told = {name: row["stages_ms"] for name, row in table.items() if row["stages_ms"]}
        stages = (
            f"| {stage} | " + " | ".join(f"{times[stage]:.0f}" for times in told.values()) + " |" for stage in base["stages_ms"]
        )
        yield ""
        yield from tabulate(["stage, ms", *told], stages)


def tell_contender(name: str, row: dict[str, Any]) -> str:
    paddle = [f"{row['of_paddledetection']:.2f}"] if "of_paddledetection" in row else []
    cells = [name, f"{row['of_torchvision']:.2f}", *paddle, f"{row['seconds']:.2f}"]
    cells += [row.get("roi_align_of_torchvision", ""), row["peak_memory_mb"], row["proposals"] or "", row["detections"]]
    return "| " + " | ".join(map(str, cells)) + " |"


def judge_prediction(table: Table) -> Iterator[str]:
    for dtype, (of_torchvision, of_paddle) in SHARES.items():
        own = {name: row for name, row in table.items() if name.startswith("maskzoo") and dtype in name}
        if not own:
            continue
        name = min(own, key=lambda name: own[name]["seconds"])
        seconds = own[name]["seconds"]
        for peer, goal in (
            ("torchvision float32", of_torchvision),
            ("PaddleDetection float32", of_paddle),
            (f"torchvision in OpenVINO {dtype}, no pasting", 1.0),
        ):
            if peer in table:
                yield judge(f"{name}: of the time of {peer}", seconds / table[peer]["seconds"], goal, digits=3)
        if "roi_align_of_torchvision" in own[name]:
            yield judge(f"{name}: RoIAlign, of torchvision's", own[name]["roi_align_of_torchvision"], ROI_ALIGN)
        memory = own[name]["peak_memory_mb"] / table["torchvision float32"]["peak_memory_mb"]
        yield judge(f"{name}: memory, of torchvision's", memory, 1.0)


def tell_converted(result: dict[str, Any]) -> Iterator[str]:
    yield "## Converted networks against their own libraries, float32, R50-FPN\n"
    yield (
        f"`python benchmarks/predict.py --networks {' '.join(result['equal'])}`, rule-made weights, a photo to run-length "
        f"masks, {result['rounds']} alternating processes of each, on {describe(result['machine'])}. "
        "`maskzoo predict` keeps freed memory.\n"
    )
    rows = []
    for library in result["equal"]:
        own = {name: row for name, row in result["runs"]["1"].items() if name.startswith(f"{library}'s network in maskzoo")}
        share = min(row["of_library"] for row in own.values())
        rows.append(judge(f"of {library}'s own time, one thread", share, CONVERTED, digits=3))
    yield from tabulate(GOALS, rows)
    yield ""
    yield from tabulate(
        ("", "threads", "of the library's time", "seconds", "peak memory, MB", "detections"),
        (
            f"| {name} | {threads} | {row['of_library']:.2f} | {row['seconds']:.2f} | {row['peak_memory_mb']} "
            f"| {row['detections']} |"
            for threads, table in result["runs"].items()
            for name, row in table.items()
        ),
    )
    yield ""
    yield from tabulate(
        ("the same photo in both", "detections in common", "boxes, pixels", "scores", "masks, least IoU"),
        (
            f"| {library} {row['versions'].get(library, '')} | {row['matched']} of {row['theirs']} | {row['box_error']:.4f} "
            f"| {row['score_error']:.1e} | {row['least_mask_iou']:.4f} |"
            for library, row in result["equal"].items()
        ),
    )


def tell_accuracy(results: list[dict[str, Any]]) -> Iterator[str]:
    yield "## What a reduced type costs in accuracy\n"
    yield "`python benchmarks/accuracy.py`. AP in points of 100; masks are compared with float32's where both found the object."
    for result in results:
        yield from tell_accuracy_of(result)


def tell_accuracy_of(result: dict[str, Any]) -> Iterator[str]:
    calibration = result["calibration"]
    yield (
        f"\n{result['title']}: {result['images']:,} images, {result['objects']:,} objects. "
        f"int8 is calibrated on {calibration['photos']} photos, of which "
        f"{calibration['of_them_measured'] or 'none'} are measured here.\n"
    )
    rows = []
    for dtype, loss in AP_LOSS.items():
        row = result["types"][dtype]
        for kind in ("box", "mask"):
            moved = row[f"{kind}_ap_difference"]
            rows.append(judge(f"{dtype}: {kind} AP, {'won' if moved > 0 else 'lost'}", abs(moved), loss))
        rows.append(judge(f"{dtype}: mean mask IoU", row["mean_mask_iou"], MASK_IOU[dtype], least=True, digits=3))
    yield from tabulate(GOALS, rows)
    yield ""
    yield from tabulate(
        ("", "box AP", "mask AP", "detections", "found by float32 too", "mean mask IoU"),
        (
            f"| {dtype}, {row['backend']} | {row['box_ap']:.2f} | {row['mask_ap']:.2f} | {row['detections']:,} "
            f"| {row['matched']:,} | {row['mean_mask_iou']:.4f} |"
            for dtype, row in result["types"].items()
        ),
    )


def tell_throughput(result: dict[str, Any]) -> Iterator[str]:
    yield "## A folder of photos, several at once\n"
    yield (
        f"`python benchmarks/throughput.py PHOTOS`, with {result['threads']} threads, {result['rounds']} alternating processes "
        f"of each, on {describe(result['machine'])}: reading, network, drawing and saving.\n"
    )
    networks = result["networks"].items()
    rows = (judge(f"{name}: images/s, times one by one", row["ratio"], row["goal"], least=True) for name, row in networks)
    yield from tabulate(GOALS, rows)
    yield ""
    yield from tabulate(
        ("network", "", "images", "images/s", "peak memory, MB"),
        (
            f"| {name} | {way} | {row[way]['images']} | {row[way]['images_per_second']:.2f} | {row[way]['peak_memory_mb']} |"
            for name, row in networks
            for way in ("one by one", "several at once")
        ),
    )


def tell_busy(result: dict[str, Any]) -> Iterator[str]:
    yield "## Beside other programs\n"
    yield (
        f"`python benchmarks/busy.py`, beside {result['loops']} busy loops, with as many threads, on "
        f"{describe(result['machine'])}, medians over alternating phases. The fair share is half of the idle speed that "
        "libraries reach on their own (`before`); `now` is with what maskzoo sets "
        "([architecture.md](architecture.md#what-holds-for-the-whole-process)).\n"
    )
    rows = []
    for name, case in result["cases"].items():
        rows.append(judge(f"{name}: of the fair share", case["now_of_fair_share"], FAIR_SHARE, least=True))
        rows.append(judge(f"{name}: lost of the idle speed", case["idle_loss"], IDLE_LOSS))
    yield from tabulate(GOALS, rows)
    yield ""
    columns = [f"{state}, {name}" for state in ("idle", "busy") for name in ("before", "now")]
    rows = [tell_beside(name, case) for name, case in result["cases"].items()]
    yield from tabulate(("images/s", *columns, "of the fair share, before"), rows)


def tell_beside(name: str, case: dict[str, Any]) -> str:
    speeds = case["images_per_second"]
    told = [f"{speeds[when][state]:.2f}" for state in ("idle", "busy") for when in ("before", "now")]
    return "| " + " | ".join([name, *told, f"{case['before_of_fair_share']:.2f}"]) + " |"


def tell_gpu(result: dict[str, Any]) -> Iterator[str]:
    size = "photos of 800 x 1199" if result["size"] == "full" else "photos of 64 x 96"
    yield "## On a GPU\n"
    yield (
        f"`python benchmarks/gpu.py`, {size}, medians of {result['rounds']} alternating processes, on "
        f"{describe(result['machine'])}. Goals at batch {GPU_BATCH}: {ON_GPU['prediction']} times torchvision's speed in "
        f"prediction, {ON_GPU['training']} in training. ~: torchvision lacks this network; its nearest one is measured instead."
    )
    for network in result["networks"]:
        sign = "" if network["same_network"] else "~"
        yield f"\n### {', '.join(f'`{row}`' for row in network['rows'])}\n"
        head = ("", "type", "batch", "times torchvision", "", "images/s", "torchvision's", "GPU memory, MB", "torchvision's")
        yield from tabulate(head, (tell_case(case, sign) for case in network["cases"]))


def tell_case(case: dict[str, Any], sign: str) -> str:
    times, verdict = case["times_torchvision"], ""
    if times is not None and case["batch"] == GPU_BATCH and not sign:
        verdict = "met" if times >= ON_GPU[case["task"]] else "not met"
    own, peer = (case.get(name, {}) for name in ("maskzoo", "torchvision"))
    speeds = [f"{one['images_per_second']:.1f}" if "images_per_second" in one else "" for one in (own, peer)]
    speeds = [speed or one.get("refused", "") for speed, one in zip(speeds, (own, peer), strict=True)]
    memory = [one.get("memory_mb") or "" for one in (own, peer)]
    ratio = "" if times is None else f"{sign}{times:.2f}"
    cells = [case["task"], case["dtype"], case["batch"], ratio, verdict, *speeds, *memory]
    return "| " + " | ".join(map(str, cells)) + " |"


def tell_training(result: dict[str, Any]) -> Iterator[str]:
    yield "## A training step, R50-FPN, one image of 800 x 1216, 512 RoIs of which 128 foreground\n"
    yield f"`python benchmarks/train.py`, medians over alternating processes, on {describe(result['machine'])}.\n"
    rows = []
    for threads, table in result["runs"].items():
        own, base = table["maskzoo"], table["torchvision"]
        rows.append(judge(f"threads {threads}: of torchvision's time", own["of_torchvision"], TRAINING))
        memory = own["peak_memory_mb"] / base["peak_memory_mb"]
        rows.append(judge(f"threads {threads}: memory, of torchvision's", memory, 1.0))
    yield from tabulate(GOALS, rows)
    yield ""
    yield from tabulate(
        ("threads", "", "of torchvision's time", "seconds", "forward", "backward", "peak memory, MB"),
        (
            f"| {threads} | {name} | {row['of_torchvision']:.2f} | {row['seconds']:.1f} | {row['parts_s']['forward']:.1f} "
            f"| {row['parts_s']['backward']:.1f} | {row['peak_memory_mb']} |"
            for threads, table in result["runs"].items()
            for name, row in table.items()
        ),
    )


def tell_evaluation(result: dict[str, Any]) -> Iterator[str]:
    data = result["data"]
    yield f"## Evaluation of {data['images']:,} images, {data['objects']:,} objects, {data['detections']:,} detections\n"
    yield (
        f"`python benchmarks/evaluate.py`, boxes and masks, all numbers equal to pycocotools', on "
        f"{describe(result['machine'])}.\n"
    )
    yield from tabulate(
        GOALS,
        (
            judge(f"{what}, times as fast as pycocotools", result[key], EVALUATION, least=True, digits=1)
            for what, key in (
                ("from rows in memory", "times_faster_from_rows"),
                ("from two JSON files, every value checked", "times_faster_from_files"),
            )
        ),
    )


def tell_reading(result: dict[str, Any]) -> Iterator[str]:
    data = result["data"]
    yield f"## Reading a COCO file of {data['objects']:,} objects on {data['images']:,} images, {data['megabytes']} MB\n"
    yield (
        f"`python benchmarks/read_annotations.py`, every value checked, one core, {result['rounds']} alternating processes of "
        f"each, on {describe(result['machine'])}.\n"
    )
    own = result["maskzoo"]
    rows = judge("seconds", own["seconds"], READING_SECONDS), judge("memory, MB", own["peak_memory_mb"], READING_MB, digits=0)
    yield from tabulate(GOALS, rows)
    yield ""
    readers = {"maskzoo": "yes", "pycocotools": "no", "json.load": "no"}
    yield from tabulate(
        ("", "seconds", "peak memory, MB", "values checked"),
        (
            f"| {name} | {result[name]['seconds']:.1f} | {result[name]['peak_memory_mb']:.0f} | {checks} |"
            for name, checks in readers.items()
        ),
    )


def tell_loader(result: dict[str, Any]) -> Iterator[str]:
    own, peer = (result[name]["images_per_core_second"] for name in ("maskzoo", "pillow"))
    yield "## Reading images to train on\n"
    yield (
        "`python benchmarks/loader.py`, COCO photos to the recipe's sizes with flip and ground truth: "
        f"{result['times_as_fast']:.2f} times as fast as the loader that torchvision's users write, {own:.0f} images per "
        f"second and core against {peer:.0f}, on {describe(result['machine'])}."
    )
