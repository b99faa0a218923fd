"""Runs Mask R-CNNs of torchvision and detectron2 with rule-made weights on a synthetic picture and keeps every stage.

It takes torch, numpy, Pillow, pycocotools and torchvision, and for detectron2 a checkout of it on PYTHONPATH (its C++ extension
is not needed), whose folder `configs` the variable DETECTRON2 names, fvcore, iopath, omegaconf, hydra-core and cloudpickle:

    cd tests && python -m golden.generate_elsewhere FOLDER
"""

import gzip
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from pycocotools import mask as coco_mask

from elsewhere_files import rule_state
from golden.storage import take_statistics

SEED, SIZE, PHOTO = "elsewhere-portable-1", (224, 352), "synthetic_1.png"
SAMPLES = {"box.head_feat": 4096, "mask.soft": 8192}
LEVELS = ("p2", "p3", "p4", "p5", "p6")
MOST = 60  # class scores above 0.05: the background's bias is the first multiple of 0.5 that leaves no more
CONFIGS = {
    "d2_r50_fpn": "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x.yaml",
    "d2_r50_fpn_lsj": "new_baselines/mask_rcnn_R_50_FPN_100ep_LSJ.py",
}
ARCHS = ("tv_r50_fpn", "tv_r50_fpn_v2", *CONFIGS)
Calls = dict[str, Any]


def watch(calls: Calls, parts: dict[str, Any]) -> None:
    """Keep what each part of a network returns."""
    for name, part in parts.items():
        part.register_forward_hook(lambda _, __, output, name=name: calls.__setitem__(name, output))


def watch_method(calls: Calls, part: Any, method: str, name: str, copy: Callable[[Any], Any] = lambda found: found) -> None:
    """Keep what a method returns, or a copy, where the library changes it later."""
    plain = getattr(part, method)

    def run(*arguments: Any) -> Any:
        found = plain(*arguments)
        calls[name] = copy(found)
        return found

    setattr(part, method, run)


class Torchvision:
    """torchvision's networks; the first as its published weights expect it: frozen norms of epsilon 0."""

    background = 0

    def __init__(self, arch: str) -> None:
        import torchvision

        detection, sides = torchvision.models.detection, {"min_size": SIZE[0], "max_size": SIZE[1]}
        if arch == "tv_r50_fpn_v2":
            self.network = detection.maskrcnn_resnet50_fpn_v2(weights=None, weights_backbone=None, num_classes=91, **sides)
        else:
            norm = torchvision.ops.misc.FrozenBatchNorm2d
            body = torchvision.models.resnet50(weights=None, norm_layer=norm)
            backbone = detection.backbone_utils._resnet_fpn_extractor(body, 3)
            self.network = detection.MaskRCNN(backbone, num_classes=91, **sides)
            for module in self.network.modules():
                if isinstance(module, norm):
                    module.eps = 0.0
        network, heads, self.calls = self.network, self.network.roi_heads, Calls()
        watch(self.calls, {
            "photo": network.transform, "stages": network.backbone.body, "levels": network.backbone, "rpn": network.rpn.head,
            "anchors": network.rpn.anchor_generator, "pooled": heads.box_roi_pool, "feature": heads.box_head,
            "boxes": heads.box_predictor, "mask_pooled": heads.mask_roi_pool, "mask_logits": heads.mask_predictor,
        })  # fmt: skip
        watch_method(self.calls, network.rpn, "filter_proposals", "proposals")
        watch_method(self.calls, heads, "postprocess_detections", "detections")

    def run(self, photo: np.ndarray) -> Calls:
        """Return the stages of a photo."""
        found = self.network([torch.from_numpy(photo.copy()).permute(2, 0, 1).float() / 255])[0]
        calls, images = self.calls, self.calls["photo"][0]
        boxes, scores, labels = (part[0] for part in calls["detections"])
        counts = [logits.numel() for logits in calls["rpn"][0]]
        return calls | {
            "image": images.tensors,
            "im_shape": images.image_sizes[0],
            "anchors": calls["anchors"][0].split(counts),
            "proposals": [part[0] for part in calls["proposals"]],
            "network": torch.cat([labels[:, None], scores[:, None], boxes], dim=1),
            "original": torch.cat([found["labels"][:, None], found["scores"][:, None], found["boxes"]], dim=1),
            "category_ids": found["labels"],
            "masks": found["masks"][:, 0],
        }


class Detectron2:
    """detectron2's networks, as its configuration files build them."""

    background = -1

    def __init__(self, arch: str) -> None:
        from detectron2.config import LazyConfig, get_cfg, instantiate
        from detectron2.modeling import build_model

        path = f"{os.environ['DETECTRON2']}/{CONFIGS[arch]}"
        if path.endswith(".py"):
            self.network = instantiate(LazyConfig.load(path).model)
        else:
            config = get_cfg()
            config.merge_from_file(path)
            config.MODEL.DEVICE = "cpu"
            self.network = build_model(config)
        network, heads, self.calls = self.network, self.network.roi_heads, Calls()
        rpn = network.proposal_generator
        watch(self.calls, {
            "stages": network.backbone.bottom_up, "levels": network.backbone, "rpn": rpn.rpn_head,
            "anchors": rpn.anchor_generator, "proposals": rpn, "pooled": heads.box_pooler, "feature": heads.box_head,
            "boxes": heads.box_predictor, "mask_pooled": heads.mask_pooler, "mask_logits": heads.mask_head.predictor,
        })  # fmt: skip
        watch_method(self.calls, network, "preprocess_image", "photo")
        watch_method(self.calls, heads.box_predictor, "inference", "detections", self._list_detections)

    @staticmethod
    def _list_detections(found: Any) -> tuple[torch.Tensor, torch.Tensor]:
        instances, rois = found[0][0], found[1][0]
        boxes, labels = instances.pred_boxes.tensor, instances.pred_classes
        return torch.cat([labels[:, None], instances.scores[:, None], boxes], dim=1).clone(), rois.clone()

    def run(self, photo: np.ndarray) -> Calls:
        """Return the stages of a photo."""
        from detectron2.data import MetadataCatalog, transforms

        turned = np.ascontiguousarray(photo[..., ::-1])
        resized = transforms.ResizeShortestEdge([SIZE[0]] * 2, SIZE[1]).get_transform(turned).apply_image(turned)
        pixels = torch.from_numpy(resized.astype(np.float32).transpose(2, 0, 1).copy())
        height, width = photo.shape[:2]
        found = self.network([{"image": pixels, "height": height, "width": width}])[0]["instances"]
        ids = {
            label: number for number, label in MetadataCatalog.get("coco_2017_val").thing_dataset_id_to_contiguous_id.items()
        }
        calls, proposals = self.calls, self.calls["proposals"][0][0]
        labels, scores, boxes = found.pred_classes, found.scores, found.pred_boxes.tensor
        return calls | {
            "image": calls["photo"].tensor,
            "im_shape": calls["photo"].image_sizes[0],
            "resized": resized,
            "anchors": [anchors.tensor for anchors in calls["anchors"]],
            "proposals": [proposals.proposal_boxes.tensor, proposals.objectness_logits],
            "network": calls["detections"][0],
            "rois": calls["detections"][1],
            "original": torch.cat([labels[:, None], scores[:, None], boxes], dim=1),
            "category_ids": torch.tensor([ids[label] for label in labels.tolist()]),
            "masks": found.pred_masks,
        }


def choose_background(logits: torch.Tensor, background: int, tried: float) -> float:
    """Return the bias that leaves few detections, of logits computed with a bias of `tried`."""
    for bias in np.arange(1.0, 60.0, 0.5):
        moved = logits.double()
        moved[:, background] += bias - tried
        scores = moved.softmax(dim=1)
        scores[:, background] = 0
        if int((scores > 0.05).sum()) <= MOST:
            return float(bias)
    raise RuntimeError("no bias leaves few detections")


def record(stages: Calls) -> dict[str, np.ndarray]:
    """Return the arrays of a golden file."""
    arrays: dict[str, np.ndarray] = {}

    def keep(key: str, tensor: Any) -> None:
        values = np.asarray(tensor)
        step = max(1, values.size // SAMPLES.get(key, 2048)) | 1
        arrays.update({f"{key}.shape": np.array(values.shape), f"{key}.sample": values.ravel()[::step].copy()})
        arrays[f"{key}.stats"] = take_statistics(values)

    keep("image", stages["image"])
    arrays["im_shape"] = np.array(stages["im_shape"])
    if "resized" in stages:
        keep("resized", stages["resized"])
    for stage, feature in enumerate(stages["stages"].values(), 2):
        keep(f"backbone.res{stage}", feature)
        arrays[f"backbone.res{stage}.channel_mean"] = feature.mean(dim=(0, 2, 3)).numpy()
    maps = zip(LEVELS, stages["levels"].values(), *stages["rpn"], stages["anchors"], strict=True)
    for level, *parts in maps:
        for key, part in zip(
            (f"fpn.{level}", f"rpn.logits.{level}", f"rpn.deltas.{level}", f"anchors.{level}"), parts, strict=True
        ):
            keep(key, part)
    arrays["proposals.boxes"], arrays["proposals.scores"] = (part.numpy() for part in stages["proposals"])
    logits, deltas = stages["boxes"]
    tensors = {"box.roi_feat": stages["pooled"], "box.head_feat": stages["feature"], "box.logits": logits, "box.deltas": deltas}
    for key, tensor in (tensors | {"mask.roi_feat": stages["mask_pooled"]}).items():
        keep(key, tensor)
    arrays |= {"box.logits.rows": logits[::10].numpy(), "box.deltas.rows": deltas[::50].numpy()}
    arrays["box.roi_feat.rows"] = stages["pooled"][::125, ::16].numpy()
    arrays["det.network"], arrays["det.original"] = stages["network"].numpy(), stages["original"].numpy()
    arrays["det.category_id"] = stages["category_ids"].numpy()
    if "rois" in stages:
        arrays["det.roi"] = stages["rois"].numpy()
    labels, masks = stages["network"][:, 0].long(), stages["masks"].numpy()
    arrays["mask.logits"] = stages["mask_logits"][torch.arange(len(labels)), labels].numpy()
    if masks.dtype != bool:
        keep("mask.soft", masks)
    return arrays | {"mask.area": (masks >= 0.5).sum(axis=(1, 2)), "mask.shape": np.array(masks.shape)}


def list_rows(stages: Calls) -> dict[str, list[Any]]:
    """Return COCO result rows of boxes and of masks at 0.5, of picture 1."""
    rows: dict[str, list[Any]] = {"bbox": [], "segm": []}
    for found, category, mask in zip(stages["original"], stages["category_ids"].tolist(), stages["masks"].numpy(), strict=True):
        _, score, x1, y1, x2, y2 = found.tolist()
        common = {"image_id": 1, "category_id": category, "score": score}
        code = coco_mask.encode(np.asfortranarray(mask >= 0.5).astype(np.uint8))
        segmentation = {"size": [int(side) for side in code["size"]], "counts": code["counts"].decode()}
        rows["bbox"].append(common | {"bbox": [x1, y1, x2 - x1, y2 - y1]})
        rows["segm"].append(common | {"segmentation": segmentation})
    return rows


@torch.no_grad()
def main(folder: Path) -> None:
    torch.set_num_threads(1)
    photo = np.asarray(Image.open(Path(__file__).parent / "portable" / "images" / PHOTO).convert("RGB"))
    biases = {}
    for arch in ARCHS:
        library, bias = (Detectron2 if arch in CONFIGS else Torchvision)(arch), 16.0
        library.network.eval()
        shapes = {name: tuple(tensor.shape) for name, tensor in library.network.state_dict().items()}
        table = ",\n".join(f"{json.dumps(name)}: {json.dumps(shape)}" for name, shape in shapes.items())
        (folder / "manifest" / f"{arch}.json").write_text(f"{{\n{table}\n}}\n")
        for _ in range(2):  # first to find the bias
            state = rule_state(arch, SEED, bias)
            library.network.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()})
            stages = library.run(photo)
            chosen, bias = bias, choose_background(stages["boxes"][0], library.background, bias)
        biases[f"{arch}_small_a"] = chosen
        np.savez_compressed(folder / f"infer_{arch}_small_a.npz", **record(stages))
        content = json.dumps(list_rows(stages)).encode()
        (folder / f"infer_{arch}_small_a.json.gz").write_bytes(gzip.compress(content, mtime=0))
        print(arch, len(stages["network"]), "detections, background", chosen)
    case = {"image_id": 1, "size": SIZE, "file": f"../portable/images/{PHOTO}"}
    table = {"weight_seed": SEED, "cases": {"small_a": case}, "background": biases}
    (folder / "set.json").write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
