"""`maskzoo.demo`: make a data set, check it, train on it, measure, predict, report; offline, in minutes on a CPU."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from maskzoo.dataset_checks.check import check_dataset
from maskzoo.datasets.draw import draw_dataset
from maskzoo.demonstration.shapes import make_shapes
from maskzoo.errors import ArgumentError, MaskzooError, count_words
from maskzoo.evaluation.job import evaluate
from maskzoo.inference.folder_run import predict_folder
from maskzoo.progress import OnProgress, ProgressEvent, say_nothing
from maskzoo.system.files import check_folder, choose_name
from maskzoo.training.run import TrainingRun, train
from maskzoo.training.trainer import Row
from maskzoo.zoo.load import load

__all__ = ["DemoRun", "demo"]

MODEL = Path(str(files("maskzoo.demonstration").joinpath("shapes.yml")))
SETTINGS = ("run.ema=0.995", "run.evaluate_every=4")
BATCH = 4
LEAST = 2 * BATCH  # pictures to train on: two steps
PER_VAL = 8  # pictures to train on for each to measure on
SHOWN = 20  # pictures on the sheet
PREDICTED = 6  # pictures that are predicted


@dataclass(frozen=True, slots=True)
class DemoRun:
    """What `demo` made in `folder`, and how good the network became.

    `box_ap` and `mask_ap`, 0 to 1 (None: no object was there to find), are of pictures that it was not trained on; `run` is the
    training run's folder, which is a model to predict with.
    """

    folder: Path
    data: Path
    sheet: Path
    run: Path
    report: Path | None
    pictures: Path
    box_ap: float | None
    mask_ap: float | None
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return all as plain values that `json.dumps` takes."""
        return {name: str(value) if isinstance(value, Path) else value for name, value in asdict(self).items()}


def demo(
    out: str | Path | None = None,
    *,
    count: int = 800,
    epochs: int | None = None,
    on_row: Callable[[Row], None] = lambda row: None,
    on_progress: OnProgress = say_nothing,
) -> DemoRun:
    """Tell the whole story offline: make a data set, check it, train a network, measure it, predict, report.

    The data are textured shapes, the network is small and starts from random weights.

    Args:
        out: the folder for all of it, new or empty; maskzoo-demo, maskzoo-demo-2 ... if left out.
        count: how many pictures to train on; an eighth of that, besides, to measure on.
        epochs: how often each is seen; 8 if left out.
        on_row: gets every row of the training run's metrics.
        on_progress: gets what is being done, and in notes the command that does the same.

    Returns:
        What was made, and the network's AP.

    Raises:
        ArgumentError: `count` is too small.
        MaskzooError: `out` is not empty, or cannot be written.
    """
    if count < LEAST:
        raise ArgumentError(f"count is {count}; expected {LEAST} pictures or more (--count)")
    folder = _choose_folder(out)
    data, sheet, run, pictures = (folder / name for name in ("shapes", "data.jpg", "run", "pictures"))
    began, val = time.monotonic(), max(1, count // PER_VAL)
    on_progress(ProgressEvent("Demo", note=f"== {count} pictures of shapes to train on, {val} to measure on, into {data}"))
    make_shapes(data, train=count, val=val, on_progress=on_progress)
    _say(on_progress, "data", "check", data)
    problems = len(check_dataset(data, on_progress=on_progress).problems)
    on_progress(ProgressEvent("Demo", note=count_words(problems, "problem")))
    _say(on_progress, "data", "show", data, "--out", sheet, "--count", SHOWN)
    draw_dataset(data, out=sheet, count=SHOWN, on_progress=on_progress)
    trained = _train(data, run, epochs, on_row, on_progress)
    _say(on_progress, "eval", run, data, "--out", folder / "evaluation")
    measured = evaluate(run, data, out=folder / "evaluation", on_progress=on_progress).evaluation
    some = sorted((data / "val").glob("*.png"))[:PREDICTED]
    _say(on_progress, "predict", run, *some, "--out", pictures)
    predict_folder(load(run, on_progress=on_progress), some, pictures, on_progress=on_progress)
    seconds = round(time.monotonic() - began, 1)
    ap = {kind: metrics.ap for kind, metrics in measured.kinds.items()}
    return DemoRun(folder, data, sheet, run, trained.report, pictures, ap.get("box"), ap.get("mask"), seconds)


def _choose_folder(out: str | Path | None) -> Path:
    if out is None:
        return choose_name(Path(), "maskzoo-demo", "", os.path.lexists)[0]
    check_folder(folder := Path(out))
    if folder.is_dir() and any(folder.iterdir()):
        raise MaskzooError(f"{folder}: holds something already; expected a new or an empty folder; choose another --out")
    return folder


def _train(data: Path, run: Path, epochs: int | None, on_row: Callable[[Row], None], on_progress: OnProgress) -> TrainingRun:
    changes = [word for setting in SETTINGS for word in ("--set", setting)]
    lasting = [] if epochs is None else ["--epochs", epochs]
    settings = ["--from", "none", "--batch", BATCH, "--workers", 0, *lasting, *changes, "--out", run]
    _say(on_progress, "train", MODEL, data, *settings)
    return train(
        MODEL,
        data,
        run,
        source="none",
        batch=BATCH,
        workers=0,
        epochs=epochs,
        overrides=SETTINGS,
        on_row=on_row,
        on_progress=on_progress,
    )


def _say(on_progress: OnProgress, *words: object) -> None:
    """Tell the command that does what comes next."""
    on_progress(ProgressEvent("Demo", note=f"\n== maskzoo {shlex.join(map(str, words))}"))
