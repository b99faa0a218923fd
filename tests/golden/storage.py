"""How golden files keep tensors, the big ones as samples and statistics, and how files are written and compared."""

import gzip
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

# How many values of a big tensor a file keeps, by the beginning of its key; 4096 of all others.
SAMPLES = {
    "infer": {"box.head_feat": 8192, "box.logits": 2048, "box.deltas": 2048, "mask.logits_all": 2048},
    "train": {"rpn.": 1024, "grad.": 512},
    "elsewhere": {"box.head_feat": 1024, "mask.soft": 2048, "": 512},
}
ORDERED = re.compile(r"proposals\.(boxes|pre_collect\.sample)|box\.\w+\.(sample|rows)|det\.index|im\d\.rois.*")


def take_sample(kind: str, key: str, values: np.ndarray) -> np.ndarray:
    """Return every n-th value of a flattened tensor, n odd, as a file of that kind keeps them under `key`."""
    kept = next((count for start, count in SAMPLES[kind].items() if key.startswith(start)), 4096)
    return values.ravel()[:: max(1, values.size // kept) | 1]


def take_statistics(values: np.ndarray) -> np.ndarray:
    """Return mean, standard deviation, mean absolute value, smallest and largest value, computed in float64."""
    wide = values.astype(np.float64)
    return np.array([wide.mean(), wide.std(), np.abs(wide).mean(), wide.min(), wide.max()])


class Recording(dict[str, np.ndarray]):
    """The arrays of a file of a `kind` of SAMPLES while it is made."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def summarize(self, key: str, tensor: Any) -> None:
        """Keep shape, sample and statistics of a tensor of any library as `key.shape`, `key.sample`, `key.stats`."""
        values = np.asarray(tensor)
        self[f"{key}.shape"] = np.array(values.shape, np.int64)
        self[f"{key}.sample"] = take_sample(self.kind, key, values)
        self[f"{key}.stats"] = take_statistics(values)


@dataclass(frozen=True)
class Content:
    """What a golden file holds: arrays (.npz) and perhaps COCO rows with them (.json.gz), or a table (.json)."""

    arrays: dict[str, Any] | None = None
    rows: Any = None
    table: Any = None


def write(path: Path, content: Content) -> None:
    """Write a golden file; `path` is without an ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if content.arrays is not None:
        np.savez_compressed(path.with_suffix(".npz"), **content.arrays)
    if content.rows is not None:
        path.with_suffix(".json.gz").write_bytes(gzip.compress(json.dumps(content.rows).encode(), mtime=0))
    if content.table is not None:
        path.with_suffix(".json").write_text(json.dumps(content.table, indent=1))


def compare(path: Path, content: Content) -> dict[str, float]:
    """Return the entries in which a stored file differs from `content`, and by how much at most.

    The unit of numbers is the stored entry's standard deviation, or 1 where that is 0. What is lacking on one side, has another
    shape or is no number differs by infinity. Of COCO rows the numbers are compared; `mask.area` stands for the masks.
    """
    found = {key: np.asarray(value) for key, value in (content.arrays or {}).items()}
    stored = dict(np.load(path.with_suffix(".npz"))) if content.arrays is not None else {}
    differences = {
        key: _difference(stored[key], found[key]) if key in stored and key in found else np.inf for key in stored | found
    }
    if content.rows is not None:
        rows = json.loads(gzip.decompress(path.with_suffix(".json.gz").read_bytes()))
        differences["COCO rows"] = _difference(_numbers(rows), _numbers(content.rows))
    if content.table is not None:
        table = json.loads(path.with_suffix(".json").read_bytes())
        differences["table"] = 0.0 if table == json.loads(json.dumps(content.table)) else np.inf
    return {key: difference for key, difference in differences.items() if difference > 0}


def hangs_on_order(key: str) -> bool:
    """Whether an entry lists proposals or RoIs: two of nearly equal logits may have swapped places on another processor."""
    return ORDERED.fullmatch(key) is not None


def _numbers(rows: Any) -> np.ndarray:
    """Image, category, score and box of COCO rows, those of masks without a box."""
    return np.array([
        [row["image_id"], row["category_id"], row["score"], *row.get("bbox", (0, 0, 0, 0))]
        for kind in ("bbox", "segm")
        for row in rows[kind]
    ])  # fmt: skip


def _difference(stored: np.ndarray, found: np.ndarray) -> float:
    if stored.shape != found.shape or stored.dtype != found.dtype:
        return np.inf
    if stored.dtype.kind not in "fiub":
        return 0.0 if (stored == found).all() else np.inf
    wide, other = stored.astype(np.float64), found.astype(np.float64)
    if (np.isnan(wide) != np.isnan(other)).any():
        return np.inf
    known = ~np.isnan(wide)
    error = np.abs(wide - other)[known].max(initial=0.0)
    return float(error / (wide[known].std() or 1.0)) if error else 0.0
