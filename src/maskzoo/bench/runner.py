"""Running all settings in turn, A B C A B C, so that whatever else the machine does affects all alike: `maskzoo.benchmark`."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch

from maskzoo.bench.measured import BenchmarkRun, compare
from maskzoo.bench.page import render_page
from maskzoo.bench.processes import run_process, write_result
from maskzoo.bench.settings import TRAINED, Setting, fix_size, list_settings, make_photo, write_random_weights
from maskzoo.errors import ArgumentError, BenchmarkError, count_words
from maskzoo.images.find import find_images
from maskzoo.models.packing import has_fast_bfloat16
from maskzoo.progress import OnProgress, ProgressEvent, say_nothing
from maskzoo.system.files import check_folder, write_file
from maskzoo.system.machine import BackendFacts, inspect_backends, inspect_gpus, inspect_processor
from maskzoo.system.processes import Device
from maskzoo.zoo.backend_choice import BACKENDS, DTYPES
from maskzoo.zoo.load import load_network
from maskzoo.zoo.rows import BENCHMARK_SIZE, read_model_config

__all__ = ["BenchmarkRun", "benchmark"]

LOADING = 8.0  # seconds that a process takes to import torch and to load the network, on a machine of two cores


def benchmark(
    model: str | Path,
    *,
    weights: str | Path | None = None,
    random: bool = False,
    size: tuple[int, int] | None = None,
    images: str | Path | None = None,
    backends: Sequence[str] | None = None,
    dtypes: Sequence[str] | None = None,
    threads: Sequence[int] | None = None,
    batch: int = 1,
    device: Device = "auto",
    seconds: float = 20.0,
    rounds: int = 2,
    training: bool = False,
    overrides: Sequence[str] = (),
    out: str | Path | None = None,
    on_progress: OnProgress = say_nothing,
) -> BenchmarkRun:
    """Measure what a model costs on this machine, from a photo's file to run-length masks.

    Every setting (backend, dtype, threads) runs in processes of its own, and they take turns.

    Args:
        model: as `maskzoo.load` takes it, but no exported file.
        weights: weights in place of the published ones.
        random: take random weights; nothing is fetched, and the time is the same.
        size: height and width of the network's input; else 800 x 1216, or what the images make.
        images: a folder of images that are predicted in turn, in place of a made one.
        backends: of eager, compile, openvino, onnxruntime; else all that are installed.
        dtypes: of float32, bfloat16, float16, int8; else float32, and bfloat16 where it is fast.
        threads: numbers of threads; else as many as can compute at once.
        batch: images computed together.
        device: "auto" is the GPU where there is one.
        seconds: time for each setting, without loading.
        rounds: turns that this time is cut into.
        training: measure training steps as well.
        overrides: `KEY=VALUE` texts for the model file.
        out: a folder for bench.json and bench.html, written after every turn: a call that is stopped keeps what it has.
        on_progress: gets the download and each turn.

    Returns:
        The figures of every setting, or why there are none, and the backends that are not installed.

    Raises:
        ArgumentError: an unknown backend or dtype, a number that is not positive, or both weights and random ones.
        MaskzooError: the model, its weights or the images cannot be read, or a file in `out` cannot be written.
    """
    _check("--backends", backends, BACKENDS)
    _check("--dtypes", dtypes, DTYPES)
    if min([1, batch, rounds, *(threads or ()), *(size or ())]) < 1 or seconds <= 0:
        raise ArgumentError("threads, batch, rounds, seconds and both sides of the size must be above 0")
    if random and weights is not None:
        raise ArgumentError(f"{weights}: weights were given, and --random asks for others; leave one of them out")
    if out is not None:
        check_folder(Path(out))
    height, width = size or BENCHMARK_SIZE
    changed = [*overrides, *(fix_size(height, width) if size is not None or images is None else ())]
    config = read_model_config(model, changed)
    complete = Path(model).suffix == ".safetensors"
    settings, absent = _choose_settings(backends, dtypes, threads, batch, training)
    with tempfile.TemporaryDirectory(prefix="maskzoo-bench-") as name:
        folder = Path(name)
        photos = [folder / "photo.jpg"] if images is None else find_images([str(images)])
        if images is None:
            photos[0].write_bytes(make_photo(height, width))
        if random:
            write_random_weights(folder / "random.safetensors", config)
        elif weights is None and not complete:
            load_network(model, on_progress=on_progress)  # fetched once, before anything is timed
        job: dict[str, Any] = {
            "model": str(folder / "random.safetensors" if random else model),
            "weights": None if weights is None else str(weights),
            "overrides": [] if random else changed,
            "images": [str(photo) for photo in photos],
            "device": device,
            "seconds": seconds / rounds,
        }
        kind = "random" if random else str(weights or (model if complete else "published"))

        def keep(results: Mapping[Setting, Sequence[dict[str, Any]]]) -> BenchmarkRun:
            """Sum up what there is, and save it."""
            rows = compare({setting: found for setting, found in results.items() if found}, config)
            run = BenchmarkRun(config.name, kind, _describe_machine(), rows, tuple(absent))
            if out is not None:
                write_result(Path(out) / "bench.json", run.to_dict())
                write_file(Path(out) / "bench.html", render_page(run).encode("utf-8"))
            return run

        results = _run_settings(settings, rounds, job, folder / "home" if random else None, on_progress, keep)
    return keep(results)


def _check(option: str, names: Sequence[str] | None, known: Sequence[str]) -> None:
    for name in names or ():
        if name not in known:
            raise ArgumentError(f"{option}: found {name!r}; expected some of {', '.join(known)}")


def _choose_settings(
    backends: Sequence[str] | None, dtypes: Sequence[str] | None, threads: Sequence[int] | None, batch: int, training: bool
) -> tuple[list[Setting], list[BackendFacts]]:
    types = dtypes or ["float32", *(["bfloat16"] if has_fast_bfloat16() else [])]
    counts, found = threads or [inspect_processor().usable], inspect_backends()
    settings, absent = list_settings(backends or BACKENDS, types, counts, batch, found)
    if training:
        settings += list_settings(["training"], [one for one in types if one in TRAINED], counts, batch, found)[0]
    return settings, absent


def _describe_machine() -> dict[str, Any]:
    processor, gpus = inspect_processor(), [gpu.name for gpu in inspect_gpus()]
    return {**asdict(processor), "usable": processor.usable, "gpus": gpus, "torch": torch.__version__}


def _run_settings(
    settings: Sequence[Setting],
    rounds: int,
    job: dict[str, Any],
    home: Path | None,
    on_progress: OnProgress,
    keep: Callable[[dict[Setting, list[dict[str, Any]]]], object],
) -> dict[Setting, list[dict[str, Any]]]:
    """Return what the process of each setting and round said; what is refused or fails once is not run again.

    `home` takes what they would keep for later. `keep` gets what there is after every turn, and what Ctrl-C left.
    """
    results: dict[Setting, list[dict[str, Any]]] = {setting: [] for setting in settings}
    total, began = len(results) * rounds, time.perf_counter()
    least = timedelta(seconds=round(total * (job["seconds"] + LOADING)))
    plan = f"{count_words(len(results), 'setting')} in {count_words(rounds, 'round')} of {job['seconds']:g} s each"
    on_progress(ProgressEvent("Measuring", note=f"Measuring {plan}: about {least} with loading"))
    for turn in range(total):
        number, setting = turn // len(results), list(results)[turn % len(results)]
        stage, rate = f"{setting}, round {number + 1}/{rounds}", turn / (time.perf_counter() - began)
        on_progress(ProgressEvent(stage, turn, total, "turns", rate))
        if not any("refused" in one or "failed" in one for one in results[setting]):
            try:
                results[setting].append(_run_worker(job | asdict(setting) | {"details": number == 0}, home))
            except KeyboardInterrupt:
                on_progress(ProgressEvent("", note=f"Stopped after {turn} of {count_words(total, 'turn')}"))
                raise
            on_progress(ProgressEvent(stage, note=f"{turn + 1}/{total} {stage}: {_describe(results[setting][-1])}"))
            keep(results)
    return results


def _describe(found: dict[str, Any]) -> str:
    """What a turn found, in few words."""
    if "times" not in found:
        return "left out" if "refused" in found else "failed"
    return f"{1000 * statistics.median(found['times']):,.0f} ms, the median of {count_words(len(found['times']), 'call')}"


def _run_worker(job: dict[str, Any], home: Path | None) -> dict[str, Any]:
    command = [sys.executable, "-m", "maskzoo.bench.worker"]
    environment = {} if home is None else {"MASKZOO_HOME": str(home)}
    try:
        return run_process(command, job, threads=job["threads"], environment=environment)
    except BenchmarkError as error:
        return {"failed": str(error)}
