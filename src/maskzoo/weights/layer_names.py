"""From the names that another library gives to its layers to a table of all entries of a weights file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from maskzoo.config import Network
from maskzoo.errors import WeightsError
from maskzoo.models.resnet import BLOCKS, DEEP
from maskzoo.weights.rename import STATISTICS, Layout, Rename

__all__ = ["LayerNames", "list_layer_renames"]

Names = tuple[str, str]  # of a convolution, and of the norm after it


@dataclass(frozen=True, slots=True)
class LayerNames:
    """What a library calls its layers: templates, by what is enumerated.

    `{stage}` is 2 to 5 for res2 to res5 and the pyramid's levels, `{layer}` one less; `{index}` counts from 0, `{number}`
    from 1. A pair names a convolution and its norm. `background_first`: class 0 is the background, which ours have last.
    """

    stem: Names
    block: Names
    shortcut: Names
    lateral: Names
    output: Names
    rpn: str
    rpn_convs: str
    rpn_score: str
    rpn_delta: str
    box_conv: Names
    box_linears: tuple[str, str]
    conv_linear: str
    box_score: str
    box_delta: str
    mask_conv: Names
    upsample: str
    mask_logits: str
    res5: Names | None = None
    res5_shortcut: Names | None = None
    background_first: bool = False


def list_layer_renames(network: Network, names: LayerNames, origin: str) -> list[Rename]:
    """List every entry of a library's weights file of a network, and where it goes.

    Raises WeightsError, which begins with `origin`, for a network of which the library has no weights.
    """
    shape = network.backbone
    if shape.variant != "b" or shape.norm not in STATISTICS or network.norm == "gn":
        raise WeightsError(
            f"{origin}: weights of a ResNet of variant b with batch-norms; found a model file with "
            f"network.backbone depth {shape.depth}, variant {shape.variant}, norm {shape.norm}, and network.norm {network.norm}"
        )
    table = [*_list_backbone(network, names), *_list_rpn(network, names), *_list_heads(network, names)]
    if network.heads == "fpn":
        for index in range(4):
            place = {"index": index, "number": index + 1, "stage": index + 2}
            table += _list_conv(names.lateral, f"pyramid.lateral.{index}", network.norm, place)
            table += _list_conv(names.output, f"pyramid.output.{index}", network.norm, place)
    return table


def _list_backbone(network: Network, names: LayerNames) -> Iterator[Rename]:
    norm, deep = network.backbone.norm, network.backbone.depth >= DEEP
    yield from _list_conv(names.stem, "backbone.stem.0", norm, {})
    for stage, blocks in zip((2, 3, 4, 5), BLOCKS[network.backbone.depth], strict=True):
        ours, block_names, shortcut = f"backbone.res{stage}", names.block, names.shortcut
        if stage == 5 and network.heads == "c4":
            ours, block_names, shortcut = "heads.res5", names.res5 or names.block, names.res5_shortcut or names.shortcut
        for block in range(blocks):
            place = {"stage": stage, "layer": stage - 1, "block": block}
            for number in (1, 2, 3) if deep else (1, 2):
                yield from _list_conv(block_names, f"{ours}.{block}.conv{number}", norm, place | {"number": number})
            if block == 0 and (deep or stage > 2):
                yield from _list_conv(shortcut, f"{ours}.0.shortcut.project", norm, place)


def _list_rpn(network: Network, names: LayerNames) -> Iterator[Rename]:
    if network.rpn_convs == 1:
        yield from _list_plain(names.rpn, "rpn.conv.conv")
    else:
        for index in range(network.rpn_convs):
            yield from _list_plain(names.rpn_convs.format(index=index), f"rpn.conv.{index}.conv")
    yield from _list_plain(names.rpn_score, "rpn.score.conv")
    yield from _list_plain(names.rpn_delta, "rpn.delta.conv")


def _list_heads(network: Network, names: LayerNames) -> Iterator[Rename]:
    first = names.background_first
    yield from _list_plain(names.box_score, "heads.box.score", *[Layout.BACKGROUND_FIRST] * 2 * first)
    yield from _list_plain(names.box_delta, "heads.box.delta", *[Layout.BACKGROUND_BOX] * 2 * first)
    yield from _list_plain(names.upsample, "heads.mask.upsample")
    yield from _list_plain(names.mask_logits, "heads.mask.logits", *[Layout.BACKGROUND_MASK] * 2 * first)
    if network.heads == "c4":
        return
    for index in range(4):
        place = {"index": index, "number": index + 1}
        yield from _list_conv(names.mask_conv, f"heads.convs.{index}", network.norm, place)
        if network.box_head == "4conv1fc":
            yield from _list_conv(names.box_conv, f"heads.box_convs.{index}", network.norm, place)
    if network.box_head == "4conv1fc":
        yield from _list_plain(names.conv_linear, "heads.fc6", Layout.ROI_ROWS)
    else:
        yield from _list_plain(names.box_linears[0], "heads.fc6", Layout.ROI_ROWS)
        yield from _list_plain(names.box_linears[1], "heads.fc7")


def _list_conv(names: Names, ours: str, norm: str, place: dict[str, int]) -> Iterator[Rename]:
    """The entries of a convolution with a norm, or with a bias."""
    conv, after = (name.format(**place) for name in names)
    yield Rename(f"{conv}.weight", f"{ours}.conv.weight")
    if norm == "none":
        yield Rename(f"{conv}.bias", f"{ours}.conv.bias")
        return
    leaves = ("weight", "bias", "running_mean", "running_var")
    for theirs, leaf in zip(leaves, ("weight", "bias", *STATISTICS[norm]), strict=True):
        yield Rename(f"{after}.{theirs}", f"{ours}.norm.{leaf}")


def _list_plain(theirs: str, ours: str, weight: Layout = Layout.SAME, bias: Layout = Layout.SAME) -> Iterator[Rename]:
    yield Rename(f"{theirs}.weight", f"{ours}.weight", weight)
    yield Rename(f"{theirs}.bias", f"{ours}.bias", bias)
