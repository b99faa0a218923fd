"""Small networks that are quick to make and to run, and the edge cases that every stage must take."""

from functools import cache

import numpy as np
import torch

from maskzoo.config import Backbone, ModelConfig
from maskzoo.inference.backends import Eager
from maskzoo.inference.predictor import Predictor
from maskzoo.models.build import build
from maskzoo.models.mask_rcnn import MaskRCNN
from maskzoo.models.resnet import Bottleneck
from maskzoo.zoo.rows import name_group, names, read_row

PADDLE = [name for name in names() if name_group(name) == "PaddleDetection"]
MORE_OF_PADDLE = [name for name in names() if name.startswith("paddle/")]
FPN, C4 = "mask_rcnn_r50_fpn_1x_coco", "mask_rcnn_r50_1x_coco"
VD = "mask_rcnn_r50_vd_fpn_1x_coco"
DC5 = "detectron2/mask_rcnn_R_50_DC5_1x"
CASCADE_GN, DCN = "cascade_mask_rcnn_r50_fpn_gn_2x_coco", "mask_rcnn_dcn_r50_fpn_1x_coco"
SMALL = (
    "network.backbone.group_width=4",
    "input.short_side=64",
    "input.long_side=160",
    "limits.proposals.before_nms=200",
    "limits.proposals.after_nms=60",
    "limits.proposals.total=40",
    "limits.detections.total=12",
    "classes={1: person, 3: car, 7: train, 18: dog, 90: toothbrush}",
)
# detectron2 takes grey levels as they are and another resize, which its network of weights drawn at random would amplify.
OF_COCO = ("input.std=[0.229, 0.224, 0.225]", "input.order=rgb", "input.resize=one_factor")
THIN = (  # a network that is quick to trace as well
    "network.backbone.depth=18",
    "network.backbone.group_width=64",
    "network.backbone.width=16",
    "network.channels=16",
    "network.box_features=32",
)

# Boxes x1 y1 x2 y2 on a canvas of 64 x 96 pixels (height, width).
EDGE_BOXES = {
    "ordinary": [10.0, 20.0, 50.0, 44.0],
    "one pixel": [7.0, 9.0, 8.0, 10.0],
    "less than a pixel": [30.2, 30.2, 30.7, 30.6],
    "no width": [12.0, 5.0, 12.0, 40.0],
    "no height": [5.0, 12.0, 40.0, 12.0],
    "a point": [0.0, 0.0, 0.0, 0.0],
    "the whole canvas": [0.0, 0.0, 96.0, 64.0],
    "over every edge": [-30.0, -20.0, 130.0, 90.0],
    "in the last corner": [95.0, 63.0, 96.0, 64.0],
    "wholly outside": [140.0, 100.0, 180.0, 140.0],
    "wide": [0.0, 30.0, 96.0, 31.92],
    "tall": [40.0, 0.0, 41.28, 64.0],
}
# Height and width of photos: each fits the stride badly in its own way.
EDGE_SIZES = ((1, 1), (1, 500), (2000, 10), (3, 5), (33, 31))


def edge_boxes(dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.tensor(list(EDGE_BOXES.values()), dtype=dtype)


def make_photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Return a photo with structure at every size, RGB uint8 `[H W 3]`."""
    random = np.random.default_rng([seed, height, width])
    coarse = random.integers(0, 200, (-(-height // 8), -(-width // 8), 3)).repeat(8, 0).repeat(8, 1)[:height, :width]
    return (coarse + random.integers(0, 56, (height, width, 3))).astype(np.uint8)


def make_shape(**changes: object) -> Backbone:
    """Return a backbone's shape: ResNet-50, thin, with the published norms, unless changed."""
    usual = {"depth": 50, "variant": "b", "width": 64, "groups": 1, "group_width": 4, "norm": "frozen", "frozen": ()}
    return Backbone(**(usual | changes))  # type: ignore[arg-type]


def small_config(row: str = FPN, *overrides: str) -> ModelConfig:
    """Return a row with thin blocks, small photos, few proposals and five classes."""
    return read_row(row, (*SMALL, *(OF_COCO if row == DC5 else ()), *overrides))


def small_network(config: ModelConfig, seed: int = 0) -> MaskRCNN:
    """Return a network with seeded weights that keep activations near 1 and find several objects on any photo."""
    with torch.device("meta"):
        network = build(config.network, len(config.classes), config.limits)
    network.to_empty(device="cpu")
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if name.endswith((".variance", ".running_var")):
                tensor.uniform_(0.5, 2, generator=random)
            elif name.endswith(".norm.weight"):
                tensor.uniform_(0.8, 1.2, generator=random)
            elif tensor.dim() == 1:
                tensor.normal_(0, 0.1, generator=random)
            else:
                inputs = (0,) if "upsample" in name else tuple(range(1, tensor.dim()))
                fan_in = tensor[:, 0, 0, 0].numel() if "upsample" in name else tensor[0].numel()
                tensor.normal_(0, (2 / fan_in) ** 0.5, generator=random)
                tensor.sub_(tensor.mean(dim=inputs, keepdim=True))  # else all places and classes look alike
        for block in network.modules():
            if isinstance(block, Bottleneck) and block.conv3.norm is not None:
                block.conv3.norm.weight.mul_(0.3)  # sixteen blocks add up
        for level in network.pyramid.output if network.pyramid is not None else ():
            level.conv.weight.mul_(0.3)
        network.rpn.delta.conv.weight.mul_(0.5)
        spread = 2.0 if config.network.heads == "fpn" else 4.0  # the mean over res5's cells varies little
        for stage in network.heads.stages:
            stage.box.score.weight.mul_(spread)
            stage.box.score.bias[-1] += 1
    return network


def sure_network(config: ModelConfig) -> MaskRCNN:
    """Return a network that is sure, as a trained one is: boxes move little, scores are near 1, masks fill their boxes.

    Sums in another order change no decision then, and move a box by 1e-5 pixels, a hundredth of what `verify` allows.
    """
    network = small_network(config)
    with torch.no_grad():
        network.rpn.delta.conv.weight.mul_(0.02)
        for stage in network.heads.stages:
            stage.box.delta.weight.mul_(0.02)
            stage.box.score.weight.mul_(5)
        network.heads.mask.logits.weight.mul_(0.1)
        network.heads.mask.logits.bias.fill_(4)
    return network


def small_predictor(row: str = FPN, *overrides: str) -> Predictor:
    """Return a predictor of a small network: the same one for the same arguments, so leave it as it is."""
    return _small_predictor(row, overrides)


@cache
def _small_predictor(row: str, overrides: tuple[str, ...]) -> Predictor:
    config = small_config(row, *overrides)
    return Predictor(Eager(small_network(config), torch.device("cpu"), torch.float32), config)
