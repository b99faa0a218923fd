"""PaddleDetection's parameter names as tables onto ours, for every network of the zoo.

Templates hold `{}` for what is enumerated: levels, blocks, norms. A plain row of a table is one parameter.
"""

from __future__ import annotations

from collections.abc import Iterator

from maskzoo.config import Network
from maskzoo.weights.rename import Layout, Rename

__all__ = ["BLOCKS", "list_renames"]

BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}

NORM = (
    ("{}.conv.weight", "{}.conv.weight"),
    ("{}.norm.weight", "{}.norm.weight"),
    ("{}.norm.bias", "{}.norm.bias"),
    ("{}.norm._mean", "{}.norm.mean"),
    ("{}.norm._variance", "{}.norm.variance"),
)
CONV = (("{}.weight", "{}.conv.weight"), ("{}.bias", "{}.conv.bias"))
PLAIN = (("{}.weight", "{}.weight"), ("{}.bias", "{}.bias"))

BRANCHES = (("branch2a", "conv1"), ("branch2b", "conv2"), ("branch2c", "conv3"))
STEMS = {"b": ("conv1",), "d": ("conv1_1", "conv1_2", "conv1_3")}

RPN = (
    ("rpn_head.rpn_feat.rpn_conv", "rpn.conv"),
    ("rpn_head.rpn_rois_score", "rpn.score"),
    ("rpn_head.rpn_rois_delta", "rpn.delta"),
)
PYRAMID = (
    *((f"neck.fpn_inner_res{level}_sum_lateral", f"pyramid.lateral.{level - 2}") for level in (2, 3, 4)),
    ("neck.fpn_inner_res5_sum", "pyramid.lateral.3"),
    *((f"neck.fpn_res{level}_sum", f"pyramid.output.{level - 2}") for level in (2, 3, 4, 5)),
    *((f"mask_head.head.upsample.mask_inter_feat_{index + 1}", f"heads.convs.{index}") for index in range(4)),
)
LINEAR = (("bbox_head.bbox_score", "heads.box.score"), ("bbox_head.bbox_delta", "heads.box.delta"))
FPN_LINEAR = (("bbox_head.head.fc7", "heads.fc7"),)
MASK = (
    ("mask_head.head.upsample.conv5_mask", "heads.mask.upsample"),
    ("mask_head.mask_fcn_logits", "heads.mask.logits"),
)


def list_renames(network: Network) -> list[Rename]:
    """List every entry of PaddleDetection's weights file of a network, and where it goes."""
    table = [*_backbone(network), *_expand(RPN, CONV), *_linear(LINEAR), *_expand(MASK, PLAIN)]
    if network.heads == "fpn":
        table += _expand(PYRAMID, CONV)
        table += _linear(FPN_LINEAR)
        table.append(Rename("bbox_head.head.fc6.weight", "heads.fc6.weight", Layout.ROI_LINEAR))
        table.append(Rename("bbox_head.head.fc6.bias", "heads.fc6.bias"))
    return table


def _backbone(network: Network) -> Iterator[Rename]:
    shape = network.backbone
    for index, stem in enumerate(STEMS[shape.variant]):
        yield from _expand(((f"backbone.conv1.{stem}", f"backbone.stem.{index}"),), NORM)
    for stage, blocks in zip((2, 3, 4, 5), BLOCKS[shape.depth], strict=True):
        in_head = network.heads == "c4" and stage == 5
        theirs, ours = ("bbox_head.head.res5", "heads.res5") if in_head else (f"backbone.res{stage}",) * 2
        for block in range(blocks):
            block_name = f"{theirs}.res{stage}{_letter(block, blocks)}"
            branches = [(f"{block_name}.{branch}", f"{ours}.{block}.{conv}") for branch, conv in BRANCHES]
            if block == 0:  # variant d pools first where it strides, and nests the convolution one deeper
                nested = ".conv" if shape.variant == "d" and stage > 2 else ""
                branches.append((f"{block_name}.short{nested}", f"{ours}.0.shortcut.project"))
            yield from _expand(branches, NORM)


def _letter(block: int, blocks: int) -> str:
    """a, b, c, ...; stages of more than ten blocks count a, b1, b2, ..."""
    if blocks <= 10:
        return chr(ord("a") + block)
    return "a" if block == 0 else f"b{block}"


def _expand(
    modules: tuple[tuple[str, str], ...] | list[tuple[str, str]], entries: tuple[tuple[str, str], ...]
) -> list[Rename]:
    return [
        Rename(theirs_entry.format(theirs), ours_entry.format(ours))
        for theirs, ours in modules
        for theirs_entry, ours_entry in entries
    ]


def _linear(modules: tuple[tuple[str, str], ...]) -> Iterator[Rename]:
    for theirs, ours in modules:
        yield Rename(f"{theirs}.weight", f"{ours}.weight", Layout.TRANSPOSED)
        yield Rename(f"{theirs}.bias", f"{ours}.bias")
