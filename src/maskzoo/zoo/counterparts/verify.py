"""A model compared with another library's: the same weights and photos, each library in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from maskzoo.config import ModelConfig
from maskzoo.errors import ArgumentError, ConfigError, MaskzooError
from maskzoo.exporting.verify import find_limit, match_objects, measure_overlap
from maskzoo.images.find import find_images
from maskzoo.images.read import read_image
from maskzoo.inference.backends import Eager
from maskzoo.inference.prediction import Masks, Prediction
from maskzoo.inference.predictor import Predictor
from maskzoo.progress import OnProgress, ProgressEvent, say_nothing
from maskzoo.zoo.counterparts import library_program
from maskzoo.zoo.counterparts.convert import SUFFIXES, write_counterpart
from maskzoo.zoo.load import load_network

__all__ = ["Comparison", "PhotoComparison", "verify"]

RunLibrary = Literal["torchvision", "detectron2", "mmdetection"]
MODULES: dict[RunLibrary, str] = {"torchvision": "torchvision", "detectron2": "detectron2", "mmdetection": "mmdet"}
BOX_PIXELS = 0.05  # of the photo; both are float32, with sums in other orders
SCORE = 1e-3
MASK_IOU, MASK_PIXELS = 0.99, 2  # a pixel at the threshold may fall on either side: of a small mask, this many may
LAST_WORDS = 1000  # characters of a failed process's standard error


@dataclass(frozen=True, slots=True)
class PhotoComparison:
    """One photo through both: how many objects each found, and by how much those in both differ at the most."""

    photo: str
    ours: int
    theirs: int
    matched: int
    box_error: float
    score_error: float
    least_mask_iou: float


@dataclass
class Comparison:
    """What `verify` found. `faults` says where both differ by more than they may; none is good.

    `differences`: rules that the library computes in its own way, whatever is set. `notes`: what else is to be known.
    """

    library: str
    versions: dict[str, str]
    differences: tuple[str, ...]
    notes: list[str]
    photos: list[PhotoComparison] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison for JSON, with what was allowed."""
        allowed = {"box_pixels": BOX_PIXELS, "score": SCORE, "mask_iou": MASK_IOU, "mask_pixels": MASK_PIXELS}
        return asdict(self) | {"allowed": allowed, "passed": not self.faults}


def verify(
    model: str | Path,
    photos: str | Path | Sequence[str | Path],
    against: RunLibrary,
    *,
    python: str | Path | None = None,
    weights: str | Path | None = None,
    overrides: Sequence[str] = (),
    on_progress: OnProgress = say_nothing,
) -> Comparison:
    """Compare a model with the library that it came from, or will go to: written for it, loaded there, and run on photos.

    Both take the same decoded pixels. Objects match where label and place agree; their boxes may differ by a twentieth of a
    pixel, scores by a thousandth, masks by an IoU of 0.99 or two pixels. An object whose score is that near to the limit may
    be missing.

    Args:
        model: What `load` takes, but an exported file.
        photos: Photos, folders of them or patterns.
        against: The library.
        python: The Python in which it is installed, such as `venv/bin/python`; None: this one.
        weights: As for `load`.
        overrides: As for `load`.
        on_progress: Is told what is being done.

    Returns:
        The differences; a model that differs raises nothing, `faults` say where.

    Raises:
        ArgumentError: No such library, or it is not installed.
        WeightsError: The library has no such network.
        MaskzooError: The library's process failed; as for `load`; or a photo cannot be read.
    """
    interpreter = _find_python(against, python)
    listed = [photos] if isinstance(photos, str | Path) else list(photos)
    paths = find_images([str(one) for one in listed])
    on_progress(ProgressEvent(f"Writing the model for {against}"))
    network, config = load_network(model, weights, overrides=overrides, on_progress=on_progress)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        out = folder / f"model{SUFFIXES[against][0]}"
        written = write_counterpart(network.state_dict(), config, out, against, str(model))
        arrays = [folder / f"{place}.npy" for place in range(len(paths))]
        for path, array in zip(paths, arrays, strict=True):
            np.save(array, read_image(path))
        on_progress(ProgressEvent(f"Predicting {len(paths)} photos with {against}"))
        job = {"library": against, "weights": str(out), "settings": str(written.settings), "threads": torch.get_num_threads()}
        said = _run(interpreter, job | {"photos": [str(array) for array in arrays], "repeats": 1}, against)
        report = Comparison(against, said["versions"], written.differences, said["notes"])
        ours = Predictor(Eager(network, torch.device("cpu"), torch.float32), config)
        for place, (path, array) in enumerate(zip(paths, arrays, strict=True)):
            pixels = np.load(array)
            found, masks = _read_found(array.with_suffix(".npz"), pixels.shape[:2], config)
            _compare(str(path), ours.predict(pixels, score=0), found, masks, config, report)
            on_progress(ProgressEvent("Comparing", place + 1, len(paths)))
    return report


def _find_python(against: RunLibrary, python: str | Path | None) -> str:
    if against not in get_args(RunLibrary):
        raise ArgumentError(f"against is {against!r}; expected {', '.join(get_args(RunLibrary))}")
    if python is None:
        if find_spec(MODULES[against]) is None:
            raise ArgumentError(
                f"{against} is not installed beside maskzoo ({sys.executable}). Install it, or say in which Python it is with "
                "python= (--python VENV/bin/python); the two need not share one"
            )
        return sys.executable
    if not os.access(python, os.X_OK) or not Path(python).is_file():
        raise ArgumentError(f"{python}: is not a program; expected the Python in which {against} is, such as VENV/bin/python")
    return str(python)


def _run(python: str, job: dict[str, Any], against: str) -> dict[str, Any]:
    command = [python, str(Path(library_program.__file__))]
    done = subprocess.run(command, input=json.dumps(job), capture_output=True, text=True, check=False)
    answer = next((line for line in reversed(done.stdout.splitlines()) if line.startswith("{")), None)
    if done.returncode or answer is None:
        said = done.stderr.strip() or "it said nothing; it may have run out of memory"
        last = said.splitlines()[-1]
        raise MaskzooError(f"{against} did not run the model in {python}: {last}\nWhat it wrote last:\n{said[-LAST_WORDS:]}")
    result: dict[str, Any] = json.loads(answer)
    return result


def _read_found(path: Path, size: tuple[int, int], config: ModelConfig) -> tuple[Prediction, NDArray[np.bool_]]:
    """Return what the library found; its masks stand beside, for they are pixels and no maps."""
    with np.load(path) as stored:
        boxes, scores, labels = (stored[name] for name in ("boxes", "scores", "labels"))
        bits = np.unpackbits(stored["masks"], count=len(boxes) * size[0] * size[1])
    if len(labels) and not 0 <= labels.min() <= labels.max() < len(config.classes):
        raise ConfigError(f"the library gave labels up to {labels.max()}; the model has {len(config.classes)} classes")
    ids, names = list(config.classes), list(config.classes.values())
    prediction = Prediction(
        boxes=boxes.astype(np.float32),
        scores=scores.astype(np.float32),
        labels=labels.astype(np.int64),
        names=tuple(names[label] for label in labels.tolist()),
        category_ids=np.array([ids[label] for label in labels.tolist()], np.int64),
        masks=Masks(np.zeros((len(boxes), 1, 1), np.float32), boxes.astype(np.float32), size),
        size=size,
        scale=(1.0, 1.0),
    )
    return prediction, bits.reshape(len(boxes), *size).astype(np.bool_)


def _compare(
    photo: str, ours: Prediction, theirs: Prediction, masks: NDArray[np.bool_], config: ModelConfig, report: Comparison
) -> None:
    """Note one photo's differences in the report."""
    pairs = match_objects(ours, theirs)
    own, errors = ours.masks.dense(), [(0.0, 0.0, 1.0)]
    for first, second in pairs:
        box = float(np.abs(ours.boxes[first] - theirs.boxes[second]).max())
        score = float(abs(ours.scores[first] - theirs.scores[second]))
        overlap = measure_overlap(own[first], masks[second])
        errors.append((box, score, overlap))
        apart = overlap < MASK_IOU and np.count_nonzero(own[first] ^ masks[second]) > MASK_PIXELS
        if box > BOX_PIXELS or score > SCORE or apart:
            report.faults.append(
                f"{photo}: {ours.names[first]} of score {ours.scores[first]:.3f}: box off by {box:.2g} pixels, score by "
                f"{score:.2g}, mask IoU {overlap:.4f}"
            )
    for name, found, known in (("maskzoo", ours, 0), (report.library, theirs, 1)):
        matched, limit = {pair[known] for pair in pairs}, find_limit(found, config.limits.detections) + SCORE
        report.faults += [
            f"{photo}: only {name} finds {found.names[place]} of score {found.scores[place]:.3f}"
            for place in range(len(found))
            if place not in matched and found.scores[place] > limit
        ]
    box, score, overlap = (pick(values) for pick, values in zip((max, max, min), zip(*errors, strict=True), strict=True))
    report.photos.append(PhotoComparison(photo, len(ours), len(theirs), len(pairs), box, score, overlap))
