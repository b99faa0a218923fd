"""One contender of train.py in a process of its own: times training steps; prints one line of JSON."""

import ctypes
import json
import resource
import sys
import time
from pathlib import Path

import numpy as np
import torch

RATE = 1e-5  # small: rule-made weights would leave every sensible range within a step


def main():
    which, keep, threads, repeats, folder = sys.argv[1:]
    torch.set_num_threads(int(threads))
    if keep == "1":  # what maskzoo.keep_freed_memory does, for both
        mallopt = ctypes.CDLL(None).mallopt
        for option, value in ((-4, 0), (-1, (1 << 31) - 1), (-2, 64 << 20)):
            if mallopt(option, value) != 1:
                sys.exit("this platform's allocator cannot keep freed memory")
    stored = dict(np.load(Path(folder) / "step.npz"))
    contender = (Maskzoo if which == "maskzoo" else Torchvision)(Path(folder), stored)
    measure(contender)
    runs = [measure(contender) for _ in range(int(repeats))]
    best = min(runs, key=lambda run: sum(run.values()))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    result = {"seconds": sum(best.values()), "parts_s": best, "peak_memory_mb": peak}
    print(json.dumps(result | {"samples": contender.samples, "versions": contender.versions}))


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
    def __init__(self, folder, stored):
        from maskzoo.structures import GroundTruth, Samples
        from maskzoo.training import objective
        from maskzoo.training.sampling import shuffle_by
        from maskzoo.training.schedule import make_optimizer
        from maskzoo.zoo.load import load_network

        row = "mask_rcnn_r50_fpn_1x_coco"
        model, self.config = load_network(row, folder / f"{row}.pdparams")
        model.to(memory_format=torch.channels_last)
        self.objective = objective.Objective(model.train(), self.config.training, 80)
        self.optimizer = make_optimizer(model, self.config.training)
        for group in self.optimizer.param_groups:
            group["lr"] = RATE
        self.image = stored["image"]
        boxes, labels = torch.from_numpy(stored["boxes"]).float()[None], torch.from_numpy(stored["labels"])[None]
        none, every = torch.zeros(1, 8, dtype=torch.bool), torch.ones(1, 8, dtype=torch.bool)
        self.truth = GroundTruth(boxes, labels, none, every, [[[ellipse(box)] for box in stored["boxes"]]])
        rois, index = torch.from_numpy(stored["rois"]).float()[None], torch.from_numpy(stored["index"]).long()[None]
        foreground = torch.arange(512)[None] < 128
        chosen = torch.where(foreground, labels[0][index], 80)
        fixed = Samples(rois, chosen, index, foreground, torch.ones(1, 512, dtype=torch.bool))
        own = objective.sample_boxes

        def sample(*arguments):
            own(*arguments)
            return fixed

        objective.sample_boxes = sample
        self.shuffle = shuffle_by(torch.Generator().manual_seed(0))
        self.samples = {"rois": 512, "foreground": int(foreground.sum())}
        self.versions = {"torch": torch.__version__}

    def compute(self):
        from maskzoo.data.batching import make_batch

        return self.objective(make_batch([self.image], self.config.input), self.truth, [self.shuffle]).total


class Torchvision:
    def __init__(self, folder, stored):
        import torchvision
        from PIL import Image, ImageDraw
        from torchvision.models.detection import MaskRCNN
        from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
        from torchvision.ops import FrozenBatchNorm2d

        backbone = resnet_fpn_backbone(
            backbone_name="resnet50", weights=None, norm_layer=FrozenBatchNorm2d, trainable_layers=3
        )
        model = MaskRCNN(backbone, 81, rpn_post_nms_top_n_train=1000)
        weights = np.load(folder / "torchvision.npz")
        model.load_state_dict({name: torch.from_numpy(np.ascontiguousarray(weights[name])) for name in weights})
        self.model = model.train()
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.SGD(trained, lr=RATE, momentum=0.9, weight_decay=1e-4)
        height, width = stored["image"].shape[:2]
        self.image = torch.from_numpy(stored["image"]).permute(2, 0, 1).float().div(255)
        masks = []
        for box in stored["boxes"]:
            mask = Image.new("L", (width, height))
            ImageDraw.Draw(mask).polygon(ellipse(box), fill=1)
            masks.append(np.asarray(mask))
        boxes, labels = torch.from_numpy(stored["boxes"]).float(), torch.from_numpy(stored["labels"]) + 1
        self.target = {"boxes": boxes, "labels": labels, "masks": torch.from_numpy(np.stack(masks))}
        rois, index = torch.from_numpy(stored["rois"]).float(), torch.from_numpy(stored["index"]).long()
        chosen = torch.where(torch.arange(512) < 128, labels[index], 0)
        heads = self.model.roi_heads
        own = heads.select_training_samples

        def sample(proposals, targets):
            own(proposals, targets)
            return [rois], [index], [chosen], heads.box_coder.encode([boxes[index]], [rois])

        heads.select_training_samples = sample
        self.samples = {"rois": 512, "foreground": int((chosen > 0).sum())}
        self.versions = {"torch": torch.__version__, "torchvision": torchvision.__version__}

    def compute(self):
        return sum(self.model([self.image], [self.target]).values())


def ellipse(box):
    """An outline inside a box, flat x y x y ..."""
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    centre, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
    return (centre + half * np.stack([np.cos(angle), np.sin(angle)], 1)).ravel().tolist()


if __name__ == "__main__":
    main()
