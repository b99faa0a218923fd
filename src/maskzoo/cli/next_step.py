"""What to do next in a folder, for `maskzoo` without a verb."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from maskzoo.datasets.known_formats import name_format
from maskzoo.datasets.layout import SPLITS, find_splits
from maskzoo.errors import MaskzooError
from maskzoo.images.find import IMAGE_SUFFIXES

__all__ = ["list_next_steps"]

MOST = 200  # entries of a folder that are looked at
PLACES = ("annotations", *(name for names in SPLITS.values() for name in names))  # folders of a data set's files


def list_next_steps(folder: Path) -> list[str]:
    """Return lines that say what lies in the folder and which call is next; none where nothing is known of it."""
    try:
        entries = sorted(folder.iterdir())[:MOST]
    except OSError:
        return []
    if (folder / "run.json").is_file():
        return _advise_on_run(folder, ".")
    names = [entry.name for entry in entries]
    runs = [entry for entry in [*entries, *_list_runs(folder)] if (entry / "run.json").is_file()]
    newest = max(runs, key=lambda run: (run / "run.json").stat().st_mtime, default=None)
    lines = [] if newest is None else _advise_on_run(newest, newest.relative_to(folder).as_posix())
    lines += _advise_on_data(folder, entries)
    photo = next((entry.name for entry in entries if entry.suffix.lower() in IMAGE_SUFFIXES), "photo.jpg")
    for name in names:
        if name.endswith(".pdparams"):
            lines += [
                f"{name} is a weights file of PaddleDetection:",
                f"  maskzoo convert {name} {Path(name).stem}.safetensors",
            ]
        elif name.endswith((".safetensors", ".onnx", ".xml", ".pt2")):
            lines += [f"{name} may be a model:", f"  maskzoo predict {name} {photo}"]
    if not lines and photo in names:
        lines = ["Here are pictures:", "  maskzoo predict mask_rcnn_r50_fpn_1x_coco ."]
    return lines


def _list_runs(folder: Path) -> list[Path]:
    return sorted((folder / "runs").iterdir())[-MOST:] if (folder / "runs").is_dir() else []


def _advise_on_run(run: Path, name: str) -> list[str]:
    title = f"{'This folder' if name == '.' else name} is a training run:"
    if not any((run / file).is_file() for file in ("best.safetensors", "last.safetensors")):
        return [f"{title[:-1]} that has kept no weights yet:", f"  maskzoo train --resume {name}"]
    report = [f"  {'' if name == '.' else f'{name}/'}report.html tells how it went"]
    lines = [title, *(report if (run / "report.html").is_file() else [])]
    return [*lines, f"  maskzoo eval {name} {_find_data(run)}", f"  maskzoo predict {name} photo.jpg"]


def _find_data(run: Path) -> str:
    """Where the data that the run was measured on lies."""
    try:
        places: dict[str, Any] = json.loads((run / "run.json").read_bytes())["data"]
        return str(places.get("val") or places["train"])
    except (OSError, ValueError, KeyError, TypeError):
        return "DATA"


def _advise_on_data(folder: Path, entries: list[Path]) -> list[str]:
    places = [folder, *(entry for entry in entries if entry.name in PLACES and entry.is_dir())]
    if any(next(place.glob("*.json"), None) for place in places):
        try:
            splits = find_splits(folder)
        except MaskzooError:
            splits = {}
        if splits:
            lines = [f"Here is a data set ({', '.join(splits)}):", "  maskzoo data check ."]
            return [*lines, *(["  maskzoo data split . parts"] if len(splits) == 1 else []), "  maskzoo train ."]
    for entry in entries:
        if entry.is_file() and entry.suffix.lower() not in IMAGE_SUFFIXES and (found := name_format(entry)):
            return [f"{entry.name} is {found[0]}:", "  maskzoo data convert . coco"]
    return []
