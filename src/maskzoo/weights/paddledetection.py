"""PaddleDetection's parameter names as tables onto ours, for every network of the zoo.

Templates hold `{}` for what is enumerated: levels, blocks, norms. A plain row of a table is one parameter.
"""

from __future__ import annotations

from collections.abc import Iterator

from maskzoo.config import Network
from maskzoo.errors import WeightsError
from maskzoo.models.resnet import BLOCKS
from maskzoo.weights.rename import STATISTICS, Layout, Rename

__all__ = ["list_backbone_renames", "list_renames"]

THEIRS = "PaddleDetection's weights"
OTHERS = "Take a .safetensors file of this network, or train it from random weights (maskzoo train --from none)"
PUBLISHED_DEPTHS = (50, 101)
HEADS = (("none", "2fc"), ("gn", "4conv1fc"))  # norm of pyramid and heads, and the box head with it

NORM = (
    ("{}.conv.weight", "{}.conv.weight"),
    ("{}.norm.weight", "{}.norm.weight"),
    ("{}.norm.bias", "{}.norm.bias"),
)
THEIR_STATISTICS = ("_mean", "_variance")
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
MASK = (
    ("mask_head.head.upsample.conv5_mask", "heads.mask.upsample"),
    ("mask_head.mask_fcn_logits", "heads.mask.logits"),
)


def list_renames(network: Network, origin: str = THEIRS) -> list[Rename]:
    """List every entry of PaddleDetection's weights file of a network, and where it goes.

    Raises WeightsError, which begins with `origin`, for a network of which PaddleDetection cannot have weights: of depth
    18 or 34, with dc5 heads, with norms in pyramid and heads that are no group norms, or with group norms in the backbone.
    """
    if network.heads == "dc5":
        raise WeightsError(f"{origin}: are of fpn or c4 heads, found network.heads dc5, which detectron2 alone has. {OTHERS}")
    table = [*list_backbone_renames(network, origin), *_expand(RPN, CONV), *_expand(MASK, PLAIN)]
    for place, ours in enumerate(_list_stages(network)):
        theirs = f"_stage{place}" if network.box_stages > 1 else ""
        kinds = ("score", "delta")
        table += _linear(tuple((f"bbox_head.bbox_{kind}{theirs}", f"{ours}.box.{kind}") for kind in kinds))
    if network.heads == "fpn":
        if (network.norm, network.box_head) not in HEADS:
            raise WeightsError(
                f"{origin}: does not fit network.norm {network.norm} with box_head {network.box_head}: its pyramid and heads "
                "have biases and a box head 2fc, or group norms and 4conv1fc. Set network.norm and network.box_head so, or "
                "take only a backbone's ImageNet weights"
            )
        layer = CONV if network.norm == "none" else NORM
        table += _expand(PYRAMID, layer)
        for place, ours in enumerate(_list_stages(network)):
            table += _list_box_head(network, place, ours)
    return table


def _list_stages(network: Network) -> list[str]:
    """Our names of the box heads, in their order."""
    return ["heads", *(f"heads.later.{place}" for place in range(network.box_stages - 1))]


def _list_box_head(network: Network, place: int, ours: str) -> Iterator[Rename]:
    cascade = network.box_stages > 1
    theirs = f"bbox_head.head.{place}" if cascade else "bbox_head.head"
    convs = f"{theirs}.stage{place}_bbox_head_conv" if cascade else f"{theirs}.bbox_head_conv"
    if network.box_head == "4conv1fc":
        yield from _expand([(f"{convs}{index}", f"{ours}.box_convs.{index}") for index in range(4)], NORM)
    else:
        yield from _linear(((f"{theirs}.fc7", f"{ours}.fc7"),))
    yield Rename(f"{theirs}.fc6.weight", f"{ours}.fc6.weight", Layout.ROI_LINEAR)
    yield Rename(f"{theirs}.fc6.bias", f"{ours}.fc6.bias")


def list_backbone_renames(network: Network, origin: str = THEIRS) -> list[Rename]:
    """List those lines of `list_renames` that an image classifier has too: stem and stages, res5 of C4 heads included.

    Raises WeightsError for depths 18 and 34 and group norms.
    """
    shape = network.backbone
    if shape.depth not in PUBLISHED_DEPTHS:
        raise WeightsError(f"{origin}: depths 50 and 101 are published, found network.backbone.depth {shape.depth}. {OTHERS}")
    if shape.norm not in STATISTICS:
        raise WeightsError(
            f"{origin}: its norms are batch-norms, which fit frozen, bn and sync_bn; found network.backbone.norm "
            f"{shape.norm}. {OTHERS}"
        )
    return list(_backbone(network, STATISTICS[shape.norm]))


def _backbone(network: Network, statistics: tuple[str, str]) -> Iterator[Rename]:
    shape = network.backbone
    names = zip(THEIR_STATISTICS, statistics, strict=True)
    layer = (*NORM, *((f"{{}}.norm.{theirs}", f"{{}}.norm.{ours}") for theirs, ours in names))
    for index, stem in enumerate(STEMS[shape.variant]):
        yield from _expand(((f"backbone.conv1.{stem}", f"backbone.stem.{index}"),), layer)
    for stage, blocks in zip((2, 3, 4, 5), BLOCKS[shape.depth], strict=True):
        in_head = network.heads == "c4" and stage == 5
        theirs, ours = ("bbox_head.head.res5", "heads.res5") if in_head else (f"backbone.res{stage}",) * 2
        for block in range(blocks):
            block_name = f"{theirs}.res{stage}{_letter(block, blocks)}"
            branches = [(f"{block_name}.{branch}", f"{ours}.{block}.{conv}") for branch, conv in BRANCHES]
            if block == 0:  # variant d pools first where it strides, and nests the convolution one deeper
                nested = ".conv" if shape.variant == "d" and stage > 2 else ""
                branches.append((f"{block_name}.short{nested}", f"{ours}.0.shortcut.project"))
            yield from _expand(branches, layer)
            if f"res{stage}" in shape.deformable:
                yield from _expand(((f"{block_name}.branch2b.conv_offset", f"{ours}.{block}.conv2.offset"),), CONV)


def _letter(block: int, blocks: int) -> str:
    """a, b, c, ...; stages of more than ten blocks count a, b1, b2, ..."""
    if blocks <= 10:
        return chr(ord("a") + block)
    return "a" if block == 0 else f"b{block}"


def _expand(modules: tuple[tuple[str, str], ...] | list[tuple[str, str]], entries: tuple[tuple[str, str], ...]) -> list[Rename]:
    return [
        Rename(theirs_entry.format(theirs), ours_entry.format(ours))
        for theirs, ours in modules
        for theirs_entry, ours_entry in entries
    ]


def _linear(modules: tuple[tuple[str, str], ...]) -> Iterator[Rename]:
    for theirs, ours in modules:
        yield Rename(f"{theirs}.weight", f"{ours}.weight", Layout.TRANSPOSED)
        yield Rename(f"{theirs}.bias", f"{ours}.bias")
