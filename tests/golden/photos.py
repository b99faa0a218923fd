"""A set's photos: gathered from COCO, and read, resized, flipped, normalised and padded by the reference's own pipeline."""

import copy
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np

from golden.sets import SMALL, GoldenSet, target_of

TRUTH = ("gt_bbox", "gt_class", "gt_poly", "is_crowd")


def gather(golden: GoldenSet, coco: Path, folder: Path) -> None:
    """Copy a set's photos from a COCO folder (annotations, train2017, val2017), with their annotations and the weight seed."""
    gathered: dict[str, list[Any]] = {"images": [], "annotations": [], "categories": [], "licenses": []}
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for split in ("train2017", "val2017"):
        source = json.loads((coco / "annotations" / f"instances_{split}.json").read_bytes())
        images = [image for image in source["images"] if image["id"] in golden.photos]
        wanted = {image["id"] for image in images}
        gathered["images"] += images
        gathered["annotations"] += [entry for entry in source["annotations"] if entry["image_id"] in wanted]
        gathered["categories"] = sorted(source["categories"], key=lambda category: category["id"])
        gathered["licenses"] = source.get("licenses", [])
        for image in images:
            shutil.copy(coco / split / image["file_name"], folder / "images")
    if absent := golden.photos - {image["id"] for image in gathered["images"]}:
        sys.exit(f"{coco} lacks the photos {sorted(absent)}: give the folder of COCO 2017, or of a part of it that has them")
    (folder / "annotations.json").write_text(json.dumps(gathered))
    (folder / "set.json").write_text(json.dumps({"weight_seed": golden.weight_seed}))


def read_records(folder: Path, truth: bool) -> tuple[dict[int, dict[str, Any]], dict[int, int]]:
    """Return the reference's records of a set's photos by image id, and the COCO category of each label."""
    from ppdet.data.source.coco import COCODataSet

    fields = ["image", *(TRUTH if truth else ())]
    dataset = COCODataSet(str(folder), image_dir="images", anno_path="annotations.json", data_fields=fields)
    dataset.parse_dataset()
    records = {int(record["im_id"][0]): record for record in dataset.roidbs}
    return records, {label: category for category, label in dataset.catid2clsid.items()}


def resize(config: Any, record: dict[str, Any], size: tuple[int, int]) -> dict[str, Any]:
    """Return a record after decoding and resizing: `image` (uint8 values, RGB), `im_shape` and `scale_factor` (y, x)."""
    return _run(_steps(config["EvalReader"], size)[:2], record)


def evaluation_batch(config: Any, record: dict[str, Any], size: tuple[int, int]) -> dict[str, np.ndarray]:
    """Return the network's input for one photo: image, im_shape, scale_factor, im_id."""
    from ppdet.data.reader import BatchCompose

    sample = _run(_steps(config["EvalReader"], size), record)
    batch = BatchCompose(config["EvalReader"]["batch_transforms"], collate_batch=True)([sample])
    return {key: np.asarray(batch[key]) for key in ("image", "im_shape", "scale_factor", "im_id")}


def training_batch(config: Any, records: list[dict[str, Any]], mirrored: bool) -> dict[str, Any]:
    """Return the network's input for photos and their objects, resized to the small target instead of a random one."""
    from ppdet.data.reader import BatchCompose

    steps = _steps(config["TrainReader"], SMALL)
    steps[2] = {"RandomFlip": {"prob": float(mirrored)}}
    samples = [_run(steps, record) for record in records]
    return BatchCompose(config["TrainReader"]["batch_transforms"], collate_batch=False)(samples)


def record_inputs(golden: GoldenSet, config: Any, folder: Path) -> dict[str, Any]:
    """Return the arrays of inputs.npz: the resized photos of all cases, so that nothing hangs on the version of OpenCV."""
    records, _ = read_records(folder, truth=False)
    arrays: dict[str, Any] = {}
    for case, photo in golden.infer.items():
        arrays |= _record_photo(f"infer.{case}", photo, resize(config, records[photo], target_of(case)))
        batch = evaluation_batch(config, records[photo], target_of(case))
        arrays |= {f"infer.{case}.{key}": batch[key] for key in ("im_shape", "scale_factor")}
    for case, photos in golden.train.items():
        for place, photo in enumerate(photos):
            arrays |= _record_photo(f"train.{case}.im{place}", photo, resize(config, records[photo], SMALL))
    return arrays


def _record_photo(name: str, photo: int, resized: dict[str, Any]) -> dict[str, Any]:
    pixels = resized["image"].astype(np.uint8)
    if (pixels != resized["image"]).any():
        sys.exit(f"photo {photo} has values that are no grey levels after resizing: OpenCV resized it as floats")
    return {f"{name}.resized": pixels, f"{name}.image_id": np.array(photo)}


def _steps(reader: Any, size: tuple[int, int]) -> list[dict[str, Any]]:
    """A reader's steps for one sample, the second of which is the resize."""
    steps = copy.deepcopy(reader["sample_transforms"])
    steps[1] = {"Resize": {"target_size": list(size), "interp": 2, "keep_ratio": True}}
    return steps


def _run(steps: list[dict[str, Any]], record: dict[str, Any]) -> dict[str, Any]:
    from ppdet.data.reader import Compose

    return Compose(steps)(copy.deepcopy(record))
