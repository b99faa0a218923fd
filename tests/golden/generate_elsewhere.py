"""Runs torchvision's Mask R-CNNs with rule-made weights on a synthetic picture and keeps every stage.

It takes torchvision with torch, numpy, Pillow and pycocotools: cd tests && python -m golden.generate_elsewhere FOLDER
"""

import gzip
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from PIL import Image
from pycocotools import mask as coco_mask

from elsewhere_files import rule_state
from golden.storage import take_statistics

SEED, ARCHS, SIZE, PHOTO = "elsewhere-portable-1", ("tv_r50_fpn", "tv_r50_fpn_v2"), (224, 352), "synthetic_1.png"
SAMPLES = {"box.head_feat": 4096, "mask.soft": 8192}
LEVELS = ("p2", "p3", "p4", "p5", "p6")
MOST = 60  # class scores above 0.05: the background's bias is the first multiple of 0.5 that leaves no more


def build(arch: str) -> Any:
    """Build the network as torchvision does, the first as its published weights expect it: frozen norms of epsilon 0."""
    detection = torchvision.models.detection
    sides = {"min_size": SIZE[0], "max_size": SIZE[1]}
    if arch == "tv_r50_fpn_v2":
        return detection.maskrcnn_resnet50_fpn_v2(weights=None, weights_backbone=None, num_classes=91, **sides)
    norm = torchvision.ops.misc.FrozenBatchNorm2d
    body = torchvision.models.resnet50(weights=None, norm_layer=norm)
    backbone = detection.backbone_utils._resnet_fpn_extractor(body, 3)
    network = detection.MaskRCNN(backbone, num_classes=91, **sides)
    for module in network.modules():
        if isinstance(module, norm):
            module.eps = 0.0
    return network


class Watched:
    """What each watched part of the network returned."""

    def __init__(self, network: Any) -> None:
        heads, self.calls = network.roi_heads, {}
        parts = {
            "photo": network.transform, "stages": network.backbone.body, "levels": network.backbone, "rpn": network.rpn.head,
            "anchors": network.rpn.anchor_generator, "pooled": heads.box_roi_pool, "feature": heads.box_head,
            "boxes": heads.box_predictor, "mask_pooled": heads.mask_roi_pool, "mask_logits": heads.mask_predictor,
        }  # fmt: skip
        for name, part in parts.items():
            part.register_forward_hook(lambda _, __, output, name=name: self.calls.__setitem__(name, output))
        self._watch(network.rpn, "filter_proposals", "proposals")
        self._watch(heads, "postprocess_detections", "detections")

    def _watch(self, part: Any, method: str, name: str) -> None:
        plain = getattr(part, method)

        def run(*arguments: Any) -> Any:
            self.calls[name] = plain(*arguments)
            return self.calls[name]

        setattr(part, method, run)


def choose_background(logits: torch.Tensor, tried: float) -> float:
    """Return the bias that leaves few detections, of logits computed with a bias of `tried`."""
    for bias in np.arange(1.0, 60.0, 0.5):
        moved = logits.double()
        moved[:, 0] += bias - tried
        if int((moved.softmax(dim=1)[:, 1:] > 0.05).sum()) <= MOST:
            return float(bias)
    raise RuntimeError("no bias leaves few detections")


def record(calls: dict[str, Any], found: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """Return the arrays of a golden file."""
    arrays: dict[str, np.ndarray] = {}

    def keep(key: str, tensor: Any) -> None:
        values = np.asarray(tensor)
        step = max(1, values.size // SAMPLES.get(key, 2048)) | 1
        arrays.update({f"{key}.shape": np.array(values.shape), f"{key}.sample": values.ravel()[::step].copy()})
        arrays[f"{key}.stats"] = take_statistics(values)

    images = calls["photo"][0]
    keep("image", images.tensors)
    arrays["im_shape"] = np.array(images.image_sizes[0])
    for stage, feature in enumerate(calls["stages"].values(), 2):
        keep(f"backbone.res{stage}", feature)
        arrays[f"backbone.res{stage}.channel_mean"] = feature.mean(dim=(0, 2, 3)).numpy()
    begin = 0
    for level, feature, logits, deltas in zip(LEVELS, calls["levels"].values(), *calls["rpn"], strict=True):
        end = begin + logits.numel()
        keep(f"fpn.{level}", feature)
        keep(f"rpn.logits.{level}", logits)
        keep(f"rpn.deltas.{level}", deltas)
        keep(f"anchors.{level}", calls["anchors"][0][begin:end])
        begin = end
    (arrays["proposals.boxes"],), (arrays["proposals.scores"],) = ([one.numpy() for one in part] for part in calls["proposals"])
    for key, tensor in zip(("box.logits", "box.deltas"), calls["boxes"], strict=True):
        keep(key, tensor)
    arrays |= {"box.logits.rows": calls["boxes"][0][::10].numpy(), "box.deltas.rows": calls["boxes"][1][::50].numpy()}
    keep("box.roi_feat", calls["pooled"])
    arrays["box.roi_feat.rows"] = calls["pooled"][::125, ::16].numpy()
    keep("box.head_feat", calls["feature"])
    boxes, scores, labels = (part[0] for part in calls["detections"])
    arrays["det.network"] = torch.cat([labels[:, None], scores[:, None], boxes], dim=1).numpy()
    arrays["det.original"] = torch.cat([found["labels"][:, None], found["scores"][:, None], found["boxes"]], dim=1).numpy()
    arrays["det.category_id"] = found["labels"].numpy()
    keep("mask.roi_feat", calls["mask_pooled"])
    arrays["mask.logits"] = calls["mask_logits"][torch.arange(len(labels)), labels].numpy()
    masks = found["masks"][:, 0].numpy()
    keep("mask.soft", masks)
    arrays |= {"mask.area": (masks >= 0.5).sum(axis=(1, 2)), "mask.shape": np.array(masks.shape)}
    return arrays


def list_rows(found: dict[str, torch.Tensor]) -> dict[str, list[Any]]:
    """Return COCO result rows of boxes and of masks at 0.5, of picture 1."""
    rows: dict[str, list[Any]] = {"bbox": [], "segm": []}
    for box, score, label, mask in zip(*(found[key] for key in ("boxes", "scores", "labels", "masks")), strict=True):
        common = {"image_id": 1, "category_id": int(label), "score": float(score)}
        x1, y1, x2, y2 = box.tolist()
        code = coco_mask.encode(np.asfortranarray(mask[0].numpy() >= 0.5).astype(np.uint8))
        segmentation = {"size": [int(side) for side in code["size"]], "counts": code["counts"].decode()}
        rows["bbox"].append(common | {"bbox": [x1, y1, x2 - x1, y2 - y1]})
        rows["segm"].append(common | {"segmentation": segmentation})
    return rows


@torch.no_grad()
def main(folder: Path) -> None:
    torch.set_num_threads(1)
    photo = np.asarray(Image.open(Path(__file__).parent / "portable" / "images" / PHOTO).convert("RGB"))
    pixels = torch.from_numpy(photo.copy()).permute(2, 0, 1).float() / 255
    background = {}
    for arch in ARCHS:
        network, bias = build(arch).eval(), 16.0
        watched = Watched(network)
        for _ in range(2):  # first to find the bias
            state = rule_state(arch, SEED, bias)
            network.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()})
            found = network([pixels])[0]
            chosen, bias = bias, choose_background(watched.calls["boxes"][0], bias)
        background[f"{arch}_small_a"] = chosen
        np.savez_compressed(folder / f"infer_{arch}_small_a.npz", **record(watched.calls, found))
        content = json.dumps(list_rows(found)).encode()
        (folder / f"infer_{arch}_small_a.json.gz").write_bytes(gzip.compress(content, mtime=0))
        print(arch, len(found["scores"]), "detections, background", chosen)
    case = {"image_id": 1, "size": SIZE, "file": f"../portable/images/{PHOTO}"}
    made_by = {"torchvision": torchvision.__version__, "torch": torch.__version__}
    table = {"weight_seed": SEED, "made_by": made_by, "cases": {"small_a": case}, "background": background}
    (folder / "set.json").write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
