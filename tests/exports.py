"""What the tests of exported files share: the networks, the photos, and how a file is held against its network."""

import torch

from maskzoo.exporting.onnx import Facts
from maskzoo.images.batch import make_batch
from maskzoo.inference.backends import Eager
from networks import C4, CASCADE_GN, DC5, FPN, THIN, make_photo, small_network

KINDS = {"fpn": (FPN, *THIN), "c4": (C4, *THIN), "dc5": (DC5, *THIN[2:])}
OTHER_LIBRARIES = (  # their rules, all at once
    *KINDS["fpn"],
    "network.box_head=4conv1fc",
    "network.rpn_convs=2",
    "network.roi_align={aligned: false, samples: 2}",
    "network.anchors.whole=true",
    "network.shrinking_capped=true",
    "limits.detections.min_side=3.0",
    "input.order=bgr",
)
CASCADE = (CASCADE_GN, *THIN)
BOX_PIXELS = 5e-3  # random weights amplify: two orders of float32 sums in PyTorch itself already differ by 1.3e-3
SIZES = {"one": ((64, 96),), "three": ((50, 70), (64, 96), (96, 40)), "tall": ((160, 33),), "least": ((17, 21),)}


def make_facts(config, fixed=None):
    return Facts(config, fixed, {"model": "thin"})


def compare(config, exported, sizes):
    """Hold every slot against the network's own."""
    batch = make_batch([make_photo(*size, seed=seed) for seed, size in enumerate(sizes)], config.input)
    expected = Eager(small_network(config), torch.device("cpu"), torch.float32).detect(batch)
    found = exported.detect(batch)
    assert expected.valid.any()
    assert torch.equal(found.valid, expected.valid) and torch.equal(found.labels, expected.labels)
    assert (found.boxes - expected.boxes).abs().max() <= BOX_PIXELS
    assert (found.scores - expected.scores).abs().max() <= 1e-4
    assert (found.masks - expected.masks)[expected.valid].abs().max() <= 1e-3
