"""One contender of train.py in a process of its own: times training steps; prints one line of JSON.

gpu.py takes the contenders too, with other networks, on a GPU, and with several images, each the same.
"""

import ctypes
import sys
import time
from pathlib import Path

import numpy as np
import torch
from stopwatch import answer, read_job, read_peak_memory

ROW = "mask_rcnn_r50_fpn_1x_coco"
RATE = 1e-5  # small: rule-made weights would leave every sensible range within a step


def main():
    job = read_job()
    torch.set_num_threads(job["threads"])
    if job["keep"]:  # what maskzoo.keep_freed_memory does, for both
        mallopt = ctypes.CDLL(None).mallopt
        for option, value in ((-4, 0), (-1, (1 << 31) - 1), (-2, 64 << 20)):
            if mallopt(option, value) != 1:
                sys.exit("this platform's allocator cannot keep freed memory")
    folder = Path(job["folder"])
    stored = dict(np.load(folder / "step.npz"))
    contender = (Maskzoo if job["contender"] == "maskzoo" else Torchvision)(folder, stored)
    measure(contender)
    runs = [measure(contender) for _ in range(job["repeats"])]
    best = min(runs, key=lambda run: sum(run.values()))
    result = {"seconds": sum(best.values()), "parts_s": best, "peak_memory_mb": read_peak_memory()}
    answer(result | {"samples": contender.samples, "versions": contender.versions})


def measure(contender):
    times = [time.perf_counter()]
    total = contender.compute()
    times.append(time.perf_counter())
    total.backward()
    times.append(time.perf_counter())
    contender.optimizer.step()
    contender.optimizer.zero_grad(set_to_none=True)
    times.append(time.perf_counter())
    if not bool(total.isfinite()):
        sys.exit("the loss is not finite")
    return dict(zip(("forward", "backward", "optimiser"), np.diff(times).tolist(), strict=True))


class Maskzoo:
    def __init__(self, folder, stored, row=ROW, device="cpu", batch=1, dtype="float32"):
        from maskzoo.images.batch import make_batch
        from maskzoo.structures import GroundTruth, Samples
        from maskzoo.training import objective
        from maskzoo.training.schedule import make_optimizer
        from maskzoo.training.targets import shuffle_by
        from maskzoo.zoo.load import load_network

        def repeat(values):
            return torch.as_tensor(values).expand(batch, *values.shape).to(device)

        model, config = load_network(row, folder / f"{row}.pdparams")
        model.to(device, memory_format=torch.channels_last)
        self.objective = objective.Objective(model.train(), config.training, 80)
        self.optimizer = make_optimizer(model, config.training)
        for group in self.optimizer.param_groups:
            group["lr"] = RATE
        self.device, self.dtype = device, getattr(torch, dtype)
        self.images = make_batch([stored["image"]] * batch, config.input)
        boxes, labels = stored["boxes"].astype(np.float32), torch.from_numpy(stored["labels"])
        none, outlines = torch.zeros(8, dtype=torch.bool), [[ellipse(box)] for box in stored["boxes"]]
        self.truth = GroundTruth(repeat(boxes), repeat(labels), repeat(none), repeat(~none), [outlines] * batch)
        index, foreground = torch.from_numpy(stored["index"]).long(), torch.arange(512) < 128
        chosen = torch.where(foreground, labels[index], 80)
        every = torch.ones(512, dtype=torch.bool)
        rois = stored["rois"].astype(np.float32)
        fixed = Samples(*(repeat(values) for values in (rois, chosen, index, foreground, every)), ((128, 512),) * batch)
        own = objective.sample_boxes

        def sample(*arguments):
            own(*arguments)
            return fixed

        objective.sample_boxes = sample
        self.shuffles = [shuffle_by(torch.Generator().manual_seed(0))] * batch
        self.samples = {"rois": 512, "foreground": int(foreground.sum())}
        self.versions = {"torch": torch.__version__}

    def compute(self):
        images = type(self.images)(self.images.pixels.to(self.device), self.images.sizes.to(self.device))
        with torch.autocast(self.device, self.dtype, enabled=self.dtype != torch.float32):
            return self.objective(images, self.truth, self.shuffles).total


class Torchvision:
    def __init__(self, folder, stored, row=ROW, device="cpu", batch=1, dtype="float32"):
        import torchvision
        from PIL import Image, ImageDraw
        from torchvision.ops import FrozenBatchNorm2d

        self.samples, self.versions = {}, {"torch": torch.__version__, "torchvision": torchvision.__version__}
        self.device, self.dtype = device, getattr(torch, dtype)
        height, width = stored["image"].shape[:2]
        self.model = build_torchvision(folder, row, FrozenBatchNorm2d, (height, width), rpn_post_nms_top_n_train=1000).to(
            device
        )
        trained = [parameter for parameter in self.model.train().parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.SGD(trained, lr=RATE, momentum=0.9, weight_decay=1e-4)
        self.images = [torch.from_numpy(stored["image"]).permute(2, 0, 1).float().div(255)] * batch
        masks = []
        for box in stored["boxes"]:
            mask = Image.new("L", (width, height))
            ImageDraw.Draw(mask).polygon(ellipse(box), fill=1)
            masks.append(np.asarray(mask))
        boxes, labels = torch.from_numpy(stored["boxes"]).float(), torch.from_numpy(stored["labels"]) + 1
        self.targets = [{"boxes": boxes, "labels": labels, "masks": torch.from_numpy(np.stack(masks))}] * batch
        self.fix_samples(torch.from_numpy(stored["rois"]).float(), torch.from_numpy(stored["index"]).long(), boxes, labels)

    def fix_samples(self, rois, index, boxes, labels):
        """Let it sample, and go on with the RoIs that all contenders train."""
        rois, index, boxes, labels = (tensor.to(self.device) for tensor in (rois, index, boxes, labels))
        chosen = torch.where(torch.arange(512, device=self.device) < 128, labels[index], 0)
        heads, batch = self.model.roi_heads, len(self.images)
        own, coded = heads.select_training_samples, heads.box_coder.encode([boxes[index]], [rois])[0]

        def sample(proposals, targets):
            own(proposals, targets)
            return [rois] * batch, [index] * batch, [chosen] * batch, [coded] * batch

        heads.select_training_samples = sample
        self.samples = {"rois": 512, "foreground": int((chosen > 0).sum())}

    def compute(self):
        images = [image.to(self.device) for image in self.images]
        targets = [{name: tensor.to(self.device) for name, tensor in target.items()} for target in self.targets]
        with torch.autocast(self.device, self.dtype, enabled=self.dtype != torch.float32):
            return sum(self.model(images, targets).values())


def build_torchvision(folder, row, norm, size, **settings):
    """torchvision's network of a row, or the nearest one: it knows no variant d, and keeps its own stem there."""
    from torchvision.models.detection import MaskRCNN
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

    name = "resnext101_64x4d" if "x101" in row else "resnet101" if "r101" in row else "resnet50"
    backbone = resnet_fpn_backbone(backbone_name=name, weights=None, norm_layer=norm, trainable_layers=3)
    model = MaskRCNN(backbone, 81, min_size=min(size), max_size=max(size), **settings)
    stored = np.load(folder / f"{row}.npz")
    weights = {name: torch.from_numpy(np.ascontiguousarray(stored[name])) for name in stored}
    missing, unexpected = model.load_state_dict(weights, strict=False)
    stem = ("backbone.body.conv1.", "backbone.body.bn1.") if "_vd_" in row else ()
    faults = [name for name in missing if not name.startswith(stem) and not name.endswith("num_batches_tracked")]
    if faults or unexpected:
        sys.exit(f"{row}: torchvision's {name} misses {faults} and does not know {unexpected}")
    return model


def ellipse(box):
    """An outline inside a box, flat x y x y ..."""
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    centre, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
    return (centre + half * np.stack([np.cos(angle), np.sin(angle)], 1)).ravel().tolist()


if __name__ == "__main__":
    main()
