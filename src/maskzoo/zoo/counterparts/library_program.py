"""A program for the Python in which another library is installed, where maskzoo need not be: it predicts with the library.

`verify` starts it. It reads a job as JSON from standard input, writes what was found on each photo beside the others as
`.npz`, and prints one line of JSON.
"""

from __future__ import annotations

import json
import runpy
import sys
import time
import types
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

__all__: list[str] = []

Photo = Any  # uint8 RGB [H W 3]
Found = tuple[Any, Any, Any, Any]  # boxes, scores, labels from 0, bool masks [N H W]
NOTES: list[str] = []


def main() -> None:
    """Load the model with the library, predict every photo, and print versions, seconds and notes."""
    del sys.path[0]  # this folder, whose files are named as the libraries are
    job = json.load(sys.stdin)
    torch: Any = import_module("torch")
    torch.set_num_threads(job["threads"])
    predict = LOADERS[job["library"]](job["weights"], job["settings"])
    seconds = []
    with torch.inference_mode():
        for path in job["photos"]:
            photo = np.load(path)
            for _ in range(job["repeats"]):
                start = time.perf_counter()
                found = predict(photo)
                seconds.append(time.perf_counter() - start)
            boxes, scores, labels, masks = found
            bits = np.packbits(np.asarray(masks, np.bool_).reshape(-1))
            np.savez(Path(path).with_suffix(".npz"), boxes=boxes, scores=scores, labels=labels, masks=bits)
    versions = {name: import_module(name).__version__ for name in ("torch", "torchvision", *MODULES[job["library"]])}
    print(json.dumps({"versions": versions, "seconds": seconds, "notes": NOTES}), flush=True)


def load_torchvision(weights: str, settings: str) -> Callable[[Photo], Found]:
    """Build the model with the program that was written beside the weights."""
    torch: Any = import_module("torch")
    model = runpy.run_path(settings)["load_model"](weights)

    def predict(photo: Photo) -> Found:
        found = model([torch.from_numpy(photo).permute(2, 0, 1).float().div(255)])[0]
        return found["boxes"].numpy(), found["scores"].numpy(), found["labels"].numpy() - 1, found["masks"][:, 0].numpy() >= 0.5

    return predict


def load_detectron2(weights: str, settings: str) -> Callable[[Photo], Found]:
    """Build the model from its config as detectron2's own predictor does."""
    torch: Any = import_module("torch")
    config = import_module("detectron2.config").get_cfg()
    config.merge_from_file(settings)
    config.MODEL.DEVICE = "cpu"
    model = import_module("detectron2.modeling").build_model(config).eval()
    import_module("detectron2.checkpoint").DetectionCheckpointer(model).load(weights)
    if weights.endswith(".pkl"):
        stored = {name: torch.from_numpy(array) for name, array in np.load(weights, allow_pickle=True)["model"].items()}
    else:
        stored = torch.load(weights, weights_only=True)["model"]
    check(model, stored)
    transforms: Any = import_module("detectron2.data.transforms")
    resize = transforms.ResizeShortestEdge([config.INPUT.MIN_SIZE_TEST] * 2, config.INPUT.MAX_SIZE_TEST)

    def predict(photo: Photo) -> Found:
        pixels = photo[:, :, ::-1] if config.INPUT.FORMAT == "BGR" else photo
        resized = resize.get_transform(pixels).apply_image(pixels)
        image = torch.as_tensor(resized.astype("float32").transpose(2, 0, 1))
        found = model([{"image": image, "height": photo.shape[0], "width": photo.shape[1]}])[0]["instances"]
        return found.pred_boxes.tensor.numpy(), found.scores.numpy(), found.pred_classes.numpy(), found.pred_masks.numpy()

    return predict


def load_mmdetection(weights: str, settings: str) -> Callable[[Photo], Found]:
    """Build the model as mmdetection's own `init_detector` does."""
    stand_in_for_operators()
    torch: Any = import_module("torch")
    apis: Any = import_module("mmdet.apis")
    model = apis.init_detector(settings, weights, device="cpu")
    check(model, torch.load(weights, weights_only=True)["state_dict"])

    def predict(photo: Photo) -> Found:
        found = apis.inference_detector(model, np.ascontiguousarray(photo[:, :, ::-1])).pred_instances
        return found.bboxes.numpy(), found.scores.numpy(), found.labels.numpy(), found.masks.numpy()

    return predict


def check(model: Any, stored: dict[str, Any]) -> None:
    """Stop unless the library took every entry of the file, and has no other: it would warn and go on."""
    held = model.state_dict()
    wrong = sorted(held.keys() ^ stored.keys()) or [name for name in stored if not held[name].equal(stored[name])]
    if wrong:
        sys.exit(f"the library did not take the weights as they are: {len(wrong)} entries, such as {', '.join(wrong[:5])}")


def stand_in_for_operators() -> None:
    """Give mmcv-lite, which has no compiled operators, torchvision's in their place; the whole mmcv is left alone."""
    mmcv: Any = import_module("mmcv")
    try:
        import_module("mmcv.ops")
    except ImportError:
        NOTES.append(f"mmcv {mmcv.__version__} has no mmcv.ops: torchvision's RoIAlign and NMS stand in for its own")
    else:
        return
    ops: Any = make_operators(import_module("torch"), import_module("torchvision.ops"))
    parts = ("nms", "roi_align", "carafe", "merge_cells", "multi_scale_deform_attn", "point_sample", "deform_conv")
    for name in ("", *(f".{part}" for part in parts), ".modulated_deform_conv"):
        sys.modules[f"mmcv.ops{name}"] = ops
    mmcv.ops, mmcv.__version__ = ops, "2.1.0"  # of the last mmcv that mmdetection 3.3 takes


def make_operators(torch: Any, operators: Any) -> types.ModuleType:
    """Return a module with what Mask R-CNN needs of mmcv.ops; whatever else is asked of it can be named, not used."""

    class RoIAlign(torch.nn.Module):  # type: ignore[misc]
        def __init__(self, output_size: Any, spatial_scale: float = 1.0, sampling_ratio: int = 0, aligned: bool = True) -> None:
            super().__init__()
            self.output_size = (output_size, output_size) if isinstance(output_size, int) else tuple(output_size)
            self.rule = (spatial_scale, sampling_ratio, aligned)

        def forward(self, features: Any, rois: Any) -> Any:
            return operators.roi_align(features, rois, self.output_size, *self.rule)

    def nms(boxes: Any, scores: Any, iou_threshold: float, **_: Any) -> tuple[Any, Any]:
        kept = operators.nms(boxes, scores, iou_threshold)
        return torch.cat([boxes[kept], scores[kept, None]], 1), kept

    def batched_nms(boxes: Any, scores: Any, idxs: Any, nms_cfg: dict[str, Any], class_agnostic: bool = False) -> Any:
        kept = operators.batched_nms(boxes, scores, idxs * (not class_agnostic), nms_cfg["iou_threshold"])
        return torch.cat([boxes[kept], scores[kept, None]], 1), kept

    class Operators(types.ModuleType):
        def __getattr__(self, name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            return type(name, (torch.nn.Module,), {})

    module: Any = Operators("mmcv.ops")
    module.__path__ = []
    module.RoIAlign, module.nms, module.batched_nms = RoIAlign, nms, batched_nms
    return module  # type: ignore[no-any-return]


LOADERS = {"torchvision": load_torchvision, "detectron2": load_detectron2, "mmdetection": load_mmdetection}
MODULES = {"torchvision": (), "detectron2": ("detectron2",), "mmdetection": ("mmdet", "mmengine")}

if __name__ == "__main__":
    main()
