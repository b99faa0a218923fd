"""What settings of a network the shapes of a weights file show."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from maskzoo.errors import WeightsError, list_some
from maskzoo.weights.detectron2 import DC5_NAMES
from maskzoo.weights.layer_names import LayerNames

__all__ = ["LayerReader", "PaddleReader", "ShapeReader"]

Array = NDArray[Any]
DEEP: dict[tuple[int, ...], int] = {(3, 4, 6, 3): 50, (3, 4, 23, 3): 101}  # of blocks of three convolutions
SHALLOW: dict[tuple[int, ...], int] = {(2, 2, 2, 2): 18, (3, 4, 6, 3): 34}  # of two
OTHER_DEPTHS: dict[tuple[int, ...], str] = {(2, 2, 2, 2): "ResNet-26", (3, 8, 36, 3): "ResNet-152"}
CELLS = 49  # of a RoI feature of the box head
Found = tuple[dict[str, tuple[Any, str]], int, int]


class ShapeReader:
    """Reads settings from shapes; what is missing is refused by name."""

    def __init__(self, arrays: Mapping[str, Array], origin: str) -> None:
        self.arrays, self.origin = arrays, origin

    def shape(self, name: str) -> tuple[int, ...]:
        if name not in self.arrays:
            raise WeightsError(
                f"{self.origin}: has no {name}, which every Mask R-CNN of its library has; found {len(self.arrays)} entries, "
                f"as {list_some(list(self.arrays)[:3])}. Give the whole file that the library saved"
            )
        return tuple(self.arrays[name].shape)

    def shape_of(self, name: str, axes: int) -> tuple[int, ...]:
        shape = self.shape(name)
        if len(shape) != axes or not all(shape):
            raise WeightsError(f"{self.origin}: {name} is {list(shape)}; expected {axes} sizes above 0")
        return shape

    def refuse(self, found: str, expected: str) -> WeightsError:
        return WeightsError(f"{self.origin}: has {found}, which is not computed here; expected {expected}")

    def find_backbone(self, counts: Sequence[int], first: str, stem: str, deep: bool = True) -> Iterator[tuple[str, Any, str]]:
        """Yield the backbone's depth, width and groups; `first` is the first block's second convolution."""
        text = f"{', '.join(map(str, counts))} blocks of {'three' if deep else 'two'} convolutions a stage"
        depth = (DEEP if deep else SHALLOW).get(tuple(counts))
        if depth is None:
            kind = OTHER_DEPTHS.get(tuple(counts), "another backbone") if deep else "another backbone"
            raise self.refuse(f"{kind} ({text})", "ResNet-18, 34, 50 or 101")
        yield "network.backbone.depth", depth, text
        width = self.shape_of(stem, 4)[0]
        yield "network.backbone.width", width, f"{stem} {list(self.shape(stem))}"
        shape = self.shape_of(first, 4)
        channels, inner = shape[:2]
        groups = channels // inner
        if groups * inner != channels or 64 * inner % width or shape[2:] != (3, 3):
            raise self.refuse(f"{first} {list(shape)}", "the 3x3 convolution of a ResNet's or ResNeXt's block")
        shown = f"{first} {list(shape)}"
        yield "network.backbone.groups", groups, shown
        yield "network.backbone.group_width", 64 * inner // width, shown


class LayerReader(ShapeReader):
    """Reads torchvision's, detectron2's and mmdetection's files by the names of their layers."""

    def __init__(self, arrays: Mapping[str, Array], origin: str, names: LayerNames, counted: bool) -> None:
        super().__init__(arrays, origin)
        self.names, self.counted = names, counted

    def find(self) -> Found:
        settings = dict(self._find_settings())
        classes = self._count_classes()
        anchors = self.shape_of(f"{self.names.rpn_score}.weight", 4)[0]
        return settings, classes, anchors

    def _find_settings(self) -> Iterator[tuple[str, tuple[Any, str]]]:
        names = self.names
        heads = "c4" if names.res5 is not None else "dc5" if names is DC5_NAMES else "fpn"
        lateral = names.lateral[0].format(stage=2, layer=1, index=0, number=1) + ".weight"
        if heads == "fpn" and lateral not in self.arrays:
            raise self.refuse("no pyramid: a network on one level", "FPN, or detectron2's C4 or DC5")
        shows = {"c4": "roi_heads.res5 is there", "dc5": "backbone.res5 is there, no pyramid", "fpn": f"{lateral} is there"}
        yield "network.heads", (heads, shows[heads])
        first = names.block[0].format(stage=2, layer=1, block=0, number=2) + ".weight"
        counts = [self._count_blocks(stage) for stage in (2, 3, 4, 5)]
        deep = self._block(names.block, 2, 0, 3) in self.arrays
        for key, value, shown in self.find_backbone(counts, first, f"{names.stem[0]}.weight", deep):
            yield key, (value, shown)
        norm = self._find_norm(names.stem[1])
        yield "network.backbone.norm", norm
        channel_name = lateral if heads == "fpn" else f"{names.upsample}.weight"
        channels = self.shape_of(channel_name, 4)[0 if heads == "fpn" else 1]
        yield "network.channels", (channels, f"{channel_name} {list(self.shape(channel_name))}")
        yield "network.rpn_convs", self._count_rpn()
        if heads != "c4":
            yield from self._find_heads(heads)

    def _count_blocks(self, stage: int) -> int:
        names = self.names
        template = names.res5 if stage == 5 and names.res5 else names.block
        count = 0
        while self._block(template, stage, count, 1) in self.arrays:
            count += 1
        return count

    @staticmethod
    def _block(template: tuple[str, str], stage: int, block: int, number: int) -> str:
        return template[0].format(stage=stage, layer=stage - 1, block=block, number=number) + ".weight"

    def _find_norm(self, norm: str) -> tuple[str, str]:
        if f"{norm}.weight" not in self.arrays:
            raise self.refuse(f"no {norm}.weight: a backbone without norms", "batch-norms")
        if f"{norm}.running_var" not in self.arrays:
            raise self.refuse(f"{norm}.weight without running statistics: group norms", "batch-norms")
        if self.counted:
            return "bn", f"{norm}.running_var and num_batches_tracked are there"
        return "frozen", f"{norm}.running_var is there, num_batches_tracked is not"

    def _count_rpn(self) -> tuple[int, str]:
        name = f"{self.names.rpn}.weight"
        several = [self.names.rpn_convs.format(index=index) + ".weight" for index in range(9)]
        count = sum(one in self.arrays for one in several)
        if name in self.arrays and (several[0] not in self.arrays or count == 1):
            return 1, f"{name} {list(self.shape(name))}"
        if count == 2:
            return 2, f"{several[1]} is there"
        raise self.refuse(f"an RPN of {count} convolutions", f"one or two ({name}, {several[1]})")

    def _find_heads(self, heads: str) -> Iterator[tuple[str, tuple[Any, str]]]:
        names = self.names
        masks = self._count(names.mask_conv[0])
        if masks != 4:
            raise self.refuse(f"a mask head of {masks} convolutions", "four")
        boxes = self._count(names.box_conv[0])
        if boxes not in (0, 4):
            raise self.refuse(f"a box head of {boxes} convolutions", "none or four")
        last = f"{names.conv_linear if boxes else names.box_linears[0]}.weight"
        second = f"{names.box_linears[1]}.weight"
        if bool(boxes) == (second in self.arrays):
            raise self.refuse(
                f"a box head of {boxes} convolutions and {'two linear layers' if boxes else 'one linear layer'}",
                "two linear layers, or four convolutions and one linear layer",
            )
        shape = self.shape_of(last, 2)
        yield "network.box_head", ("4conv1fc" if boxes else "2fc", f"{second if not boxes else last} {list(shape)}")
        yield "network.box_features", (shape[0], f"{last} {list(shape)}")
        if shape[1] % CELLS:
            raise self.refuse(f"a box head of {shape[1]} inputs ({last} {list(shape)})", "features of 7x7 cells")
        place = {"stage": 2, "layer": 1, "index": 0, "number": 1}
        kinds = {}
        for part, pair in {"pyramid": names.lateral, "mask head": names.mask_conv, "box head": names.box_conv}.items():
            if (part == "box head" and not boxes) or (part == "pyramid" and heads != "fpn"):
                continue
            norm = pair[1].format(**place)
            if f"{norm}.weight" in self.arrays and f"{norm}.running_var" not in self.arrays:
                raise self.refuse(f"{norm}.weight without running statistics: group norms in the {part}", "batch-norms or none")
            kinds[part] = "bn" if f"{norm}.weight" in self.arrays else "none"
        if len(set(kinds.values())) != 1:
            told = ", ".join(f"{part} {kind}" for part, kind in kinds.items())
            raise self.refuse(f"norms in a part of pyramid and heads only ({told})", "norms in all of them, or in none")
        first = (names.lateral if heads == "fpn" else names.mask_conv)[1].format(**place) + ".weight"
        norm = next(iter(kinds.values()))
        yield "network.norm", (norm, f"{first} is {'not ' if norm == 'none' else ''}there")

    def _count(self, template: str) -> int:
        """Count the convolutions of a head, which are numbered from 0 or 1."""
        return sum(template.format(index=index, number=index + 1) + ".weight" in self.arrays for index in range(20))

    def _count_classes(self) -> int:
        names = self.names
        return check_classes(
            self, f"{names.box_score}.bias", f"{names.box_delta}.bias", f"{names.mask_logits}.bias", names.background_first
        )


class PaddleReader(ShapeReader):
    """Reads PaddleDetection's files."""

    def find(self) -> Found:
        arrays = self.arrays
        c4 = "bbox_head.head.res5.res5a.branch2a.conv.weight" in arrays
        d = "backbone.conv1.conv1_1.conv.weight" in arrays
        settings: dict[str, tuple[Any, str]] = {
            "network.heads": ("c4", "bbox_head.head.res5 is there") if c4 else ("fpn", "no bbox_head.head.res5 is there"),
            "network.backbone.variant": ("d", "three convolutions in the stem") if d else ("b", "one convolution in the stem"),
        }
        stem = "backbone.conv1.conv1_3.conv.weight" if d else "backbone.conv1.conv1.conv.weight"
        first = "backbone.res2.res2a.branch2b.conv.weight"
        for key, value, shown in self.find_backbone([self._count(stage, c4) for stage in (2, 3, 4, 5)], first, stem):
            settings[key] = (value, shown)
        offset = "backbone.res{stage}.res{stage}a.branch2b.conv_offset.weight"
        stages = [f"res{stage}" for stage in (3, 4, 5) if offset.format(stage=stage) in arrays]
        settings["network.backbone.deformable"] = (stages, f"{', '.join(stages) or 'no stage'} with conv_offset")
        name = "mask_head.head.upsample.conv5_mask.weight"
        settings["network.channels"] = (self.shape_of(name, 4)[1], f"{name} {list(self.shape(name))}")
        if not c4:
            settings |= self._find_heads()
        stage = "" if c4 or settings["network.box_stages"][0] == 1 else "_stage0"
        last = (f"bbox_head.bbox_score{stage}.bias", f"bbox_head.bbox_delta{stage}.bias", "mask_head.mask_fcn_logits.bias")
        classes = check_classes(self, *last, first=False)
        return settings, classes, self.shape_of("rpn_head.rpn_rois_score.weight", 4)[0]

    def _find_heads(self) -> dict[str, tuple[Any, str]]:
        group_norm = "neck.fpn_res2_sum.norm.weight" in self.arrays
        stages = sum(f"bbox_head.bbox_score_stage{place}.weight" in self.arrays for place in range(9))
        head, convs = ("bbox_head.head.0", "stage0_bbox_head_conv0") if stages else ("bbox_head.head", "bbox_head_conv0")
        four, two, fc = f"{head}.{convs}.conv.weight", f"{head}.fc7.weight", f"{head}.fc6.weight"
        if four not in self.arrays and two not in self.arrays:
            raise self.refuse(f"no {two}, no {four} and no res5 in its head", "a box head 2fc or 4conv1fc, or C4")
        return {
            "network.box_stages": (stages or 1, f"{stages or 'no'} bbox_head.bbox_score_stage are there"),
            "network.norm": ("gn", "neck.fpn_res2_sum.norm is there") if group_norm else ("none", "no neck.fpn_res2_sum.norm"),
            "network.box_head": ("4conv1fc", f"{four} is there") if four in self.arrays else ("2fc", f"{two} is there"),
            "network.box_features": (self.shape_of(fc, 2)[1], f"{fc} {list(self.shape(fc))}"),
        }

    def _count(self, stage: int, c4: bool) -> int:
        where = r"bbox_head\.head\.res5" if stage == 5 and c4 else rf"backbone\.res{stage}"
        pattern = re.compile(rf"^{where}\.res{stage}([a-z]\d*)\.branch2c\.conv\.weight$")
        return sum(pattern.match(name) is not None for name in self.arrays)


def check_classes(reader: ShapeReader, score: str, delta: str, mask: str, first: bool) -> int:
    """Return the number of classes by the three last layers' biases, which must agree; `first`: the background leads."""
    (rows,), (deltas,), (masks,) = (reader.shape_of(name, 1) for name in (score, delta, mask))
    classes, extra = rows - 1, int(first)
    fits = deltas in (4, 4 * (classes + extra)) and masks in (1, classes + extra)
    if classes < 1 or not fits:
        raise WeightsError(
            f"{reader.origin}: its last layers disagree about the number of classes: {score} has {rows}, {delta} {deltas} and "
            f"{mask} {masks} rows; expected {classes + 1}, {4 * (classes + extra)} and {classes + extra}. A head was replaced "
            "without the others: replace all three, and train them"
        )
    return classes
