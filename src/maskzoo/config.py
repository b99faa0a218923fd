"""The schema of a model file.

A model file says everything about one row of the zoo: the network, its input, its limits, the training recipe,
the classes and where the weights come from. It is data, read by `system/yaml_text.py`: no tags, no references to code.
Every size has an upper bound, far above any use, so that a file that is not trusted cannot ask for a machine's memory.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from maskzoo.augmentations import Augmentations
from maskzoo.models import settings
from maskzoo.schema import Above, Channels, Deviation, Factor, Few, Fraction, Mean, Positive, Real, Section, Side

__all__ = [
    "Anchors",
    "Backbone",
    "BoxLimits",
    "BoxSampling",
    "Input",
    "Limits",
    "ModelConfig",
    "Network",
    "PasteRule",
    "ProposalLimits",
    "Published",
    "ResizeRule",
    "RoiAlign",
    "RpnSampling",
    "RunSettings",
    "Source",
    "Training",
    "Warmup",
]

COCO_VAL = "COCO val2017"
FPN_MULTIPLE = 32  # the stride of res5, above which the pyramid's levels are doubled and added
PasteRule = Literal["sampled", "whole_pixels"]
ResizeRule = Literal["one_factor", "rounded", "pillow", "opencv", "float"]


class Backbone(Section, settings.Backbone):
    """A ResNet: `variant` b is the plain one, d has the three-convolution stem and pooled shortcuts.

    `width` is the number of channels of the stem; all stages follow it. `norm` frozen uses stored statistics and never
    trains, as published; the others learn: bn, sync_bn (statistics over all processes), gn (groups of channels). A block
    strides in its 3x3 convolution, or with `stride_in_1x1`, which is Caffe's way, in the first 1x1; `epsilon` is the norms'.
    The 3x3 convolutions of the stages that `deformable` names are deformable ones (v2).
    """

    depth: Literal[18, 34, 50, 101]
    variant: Literal["b", "d"]
    width: Channels
    groups: Annotated[int, Field(gt=0, le=1024)]
    group_width: Annotated[int, Field(gt=0, le=1024)]
    stride_in_1x1: bool = False
    deformable: tuple[Literal["res3", "res4", "res5"], ...] = ()
    norm: Literal["frozen", "bn", "sync_bn", "gn"]
    epsilon: Annotated[float, Field(ge=0, lt=1)] = 1e-5
    frozen: tuple[Literal["stem", "res2", "res3", "res4", "res5"], ...]

    @model_validator(mode="after")
    def _check(self) -> Backbone:
        if self.depth < 50 and (self.groups, self.group_width) != (1, 64):
            raise ValueError(f"depth {self.depth} has no grouped convolutions; it needs groups 1 and group_width 64")
        if self.stride_in_1x1 and (self.depth < 50 or self.variant == "d"):
            raise ValueError("stride_in_1x1 is for depths 50 and 101 of variant b; leave it out")
        if self.deformable and self.depth < 50:
            raise ValueError(f"deformable convolutions are for depths 50 and 101, found depth {self.depth}; leave them out")
        if self.epsilon == 0 and self.norm != "frozen":
            raise ValueError(f"epsilon is 0, which only frozen norms may have; norm is {self.norm}: set epsilon to 1e-5")
        return self


class Anchors(Section, settings.Anchors):
    """Anchor `sizes` (side of the square, pixels) of each level and its `strides`; ratios are height / width.

    `whole`, torchvision's rule: corners are rounded to whole pixels, and a level's cells stand as many whole pixels apart as
    fit the canvas, which for P6 may be fewer than 64.
    """

    sizes: Annotated[tuple[Annotated[tuple[Above, ...], Field(max_length=32)], ...], Field(max_length=8)]
    ratios: Annotated[tuple[Annotated[float, Field(ge=1e-3, le=1e3)], ...], Field(max_length=32)]
    strides: Annotated[tuple[Few, ...], Field(max_length=8)]
    whole: bool = False

    @model_validator(mode="after")
    def _check(self) -> Anchors:
        if len(self.sizes) != len(self.strides):
            raise ValueError(f"{len(self.sizes)} levels of sizes, but {len(self.strides)} strides")
        if len({len(sizes) for sizes in self.sizes}) != 1 or not self.sizes[0] or not self.ratios:
            raise ValueError("every level needs the same number of sizes, at least one, and one ratio or more")
        return self


class RoiAlign(Section, settings.RoiAlign):
    """How RoIs are pooled: `aligned` shifts them by half a cell; `samples` of a bin along each axis, 0 adapts to the RoI."""

    aligned: bool = True
    samples: Annotated[int, Field(ge=0, le=16)] = 0


class Network(Section, settings.Network):
    """`heads` fpn: a pyramid and a box head; dc5: one level of stride 16, a dilated res5, and a box head; c4: one level of
    stride 16, res4, and res5 on every RoI.

    `channels` are those of pyramid, RPN and mask head (of dc5 and c4, of the mask head), `box_features` those of the box head:
    two linear layers (2fc), or four convolutions and a linear layer (4conv1fc). With `box_stages` 3, Cascade R-CNN, there are
    three box heads in a row, whose deltas all classes share. `norm` stands in the convolutions of
    pyramid, mask and box head; the published networks have none there. `shrinking_capped`, mmdetection's rule: boxes shrink
    to no less than 16/1000 of a side, as they grow to no more than 1000/16.
    """

    heads: Literal["fpn", "dc5", "c4"]
    channels: Channels
    box_stages: Literal[1, 3] = 1
    box_head: Literal["2fc", "4conv1fc"] = "2fc"
    box_features: Annotated[int, Field(gt=0, le=65_536)]
    rpn_convs: Literal[1, 2] = 1
    norm: Literal["none", "bn", "sync_bn", "gn"]
    shrinking_capped: bool = False
    backbone: Backbone
    anchors: Anchors
    roi_align: RoiAlign = RoiAlign()

    @model_validator(mode="after")
    def _check(self) -> Network:
        if self.heads == "c4" and "res5" in self.backbone.frozen:
            raise ValueError("backbone.frozen names res5, which is part of the c4 heads; it cannot be frozen")
        if self.heads == "c4" and self.box_head != "2fc":
            raise ValueError(f"box_head is {self.box_head}, and the c4 heads have res5 instead; leave it out")
        if self.box_stages > 1 and (self.heads != "fpn" or self.shrinking_capped):
            raise ValueError(f"box_stages is {self.box_stages}, which needs fpn heads and no shrinking_capped; leave it out")
        if self.backbone.deformable and self.heads != "fpn":
            raise ValueError(f"backbone.deformable is for fpn heads, found {self.heads}; leave it out")
        if self.heads == "dc5" and self.backbone.depth < 50:
            raise ValueError(f"backbone.depth is {self.backbone.depth}; dc5 heads need 50 or 101")
        expected = (4, 8, 16, 32, 64) if self.heads == "fpn" else (16,)
        if self.anchors.strides != expected:
            raise ValueError(f"anchors.strides is {list(self.anchors.strides)}; {self.heads} heads need {list(expected)}")
        return self


class Input(Section):
    """How a photo becomes the network's input: target sides, the rule of resizing, RGB mean, deviation, canvas multiple.

    `order` is that of the channels as the network reads them; mean and deviation stay in the order R, G, B.

    `resize` belongs to the weights (`images/resize.py` has the rules): `one_factor` where they are published ones or go on
    from those. Files of maskzoo that do not say it are from before there was a choice, and mean `rounded`.
    """

    short_side: Side
    long_side: Side
    resize: ResizeRule = "rounded"
    order: Literal["rgb", "bgr"] = "rgb"
    mean: tuple[Mean, Mean, Mean]
    std: tuple[Deviation, Deviation, Deviation]
    canvas_multiple: Annotated[int, Field(gt=0, le=1024)]


class ProposalLimits(Section, settings.ProposalLimits):
    """Per level: keep `before_nms` by score, suppress above `iou`, keep `after_nms`; then `total` of an image."""

    before_nms: Few
    after_nms: Few
    total: Few
    iou: Fraction
    min_side: Real


class BoxLimits(Section, settings.BoxLimits):
    """Detections: class scores above `score`, suppressed above `iou` within a class, the best `total` of an image.

    Boxes with a side below `min_side` are no candidates. They come by label, then proposal, or by falling score (`order`).
    With `suppression` soft a box loses score by its overlap with better ones of its class, instead of going at `iou`.
    A mask is sampled where pixels lie in its box; `paste` whole_pixels, torchvision's rule, stretches it to whole pixels.
    """

    score: Fraction
    iou: Fraction
    total: Few
    min_side: Annotated[float, Field(ge=0)] = 0.0
    suppression: Literal["hard", "soft"] = "hard"
    order: Literal["label", "score"] = "label"
    mask_threshold: Annotated[float, Field(gt=0, le=1)]
    paste: PasteRule = "sampled"


class Limits(Section, settings.Limits):
    proposals: ProposalLimits
    detections: BoxLimits


class Warmup(Section):
    iterations: Annotated[int, Field(ge=0, le=10**9)]
    start_factor: Fraction


class RpnSampling(Section):
    """Which anchors train the RPN: positive from `positive_iou`, negative below `negative_iou`."""

    samples: Few
    positive_fraction: Fraction
    positive_iou: Fraction
    negative_iou: Fraction


class BoxSampling(Section):
    """Which RoIs train the heads: foreground from `foreground_iou`, at most `foreground_fraction` of `samples`.

    A cascade's later stages train on the boxes of the stage before, foreground from one of `later_ious` each.
    """

    samples: Few
    foreground_fraction: Fraction
    foreground_iou: Fraction
    later_ious: Annotated[tuple[Fraction, ...], Field(max_length=8)] = ()


class Training(Section):
    """The published recipe. `learning_rate` belongs to `images_per_batch` images over all processes.

    `norm_decay` is the weight decay of norms that learn; left out, it is `weight_decay`.
    `augmentation` is what is drawn for a photo before it is resized and flipped: nothing in a published row, else a list,
    or a preset's name, which stands for one.
    """

    epochs: Few
    milestones: Annotated[tuple[Positive, ...], Field(max_length=1000)]
    learning_rate: Above
    decay: Fraction
    warmup: Warmup
    momentum: Fraction
    weight_decay: Real
    norm_decay: Real | None = None
    stage_rates: dict[Literal["res2", "res3", "res4", "res5"], Real]
    images_per_batch: Few
    short_sides: Annotated[tuple[Side, ...], Field(max_length=1000)]
    long_side: Side
    flip: Fraction
    augmentation: Augmentations = ()
    proposals: ProposalLimits
    rpn: RpnSampling
    boxes: BoxSampling


class Published(Section):
    """What a published row reaches and costs: AP on `data` in percent, as its library publishes it, or null where it does not.

    `parameters` leaves running statistics out; `gflops` is one image of 800x1216, a multiply-add counted as two.
    """

    box_ap: float | None
    mask_ap: float | None
    data: str = COCO_VAL
    parameters: Annotated[int, Field(gt=0, le=10**12)]
    gflops: Annotated[float, Field(gt=0)]


class Source(Section):
    """Where the weights come from and under which licence. The URLs are empty in a user's own file.

    `sha256` is what the weights' SHA-256 begins with, where their library publishes that (in the file's name), else empty.
    """

    weights: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{0,64}$")] = ""
    imagenet: str
    licence: str
    published: Published | None

    @field_validator("weights", "imagenet")
    @classmethod
    def _check_url(cls, value: str) -> str:
        if value and not value.startswith(("https://", "http://")):
            raise ValueError(f"{value!r} is not an http(s) address; leave it empty and pass weights= for a local file")
        return value


class ModelConfig(Section):
    """One row of the zoo, complete. `classes` maps the data set's category id to its name, in label order."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    schedule: str
    network: Network
    input: Input
    limits: Limits
    classes: Annotated[dict[Annotated[int, Field(ge=-(2**63), lt=2**63)], str], Field(min_length=1, max_length=100_000)]
    training: Training
    source: Source

    @model_validator(mode="after")
    def _check(self) -> ModelConfig:
        stages, ious = self.network.box_stages, self.training.boxes.later_ious
        if len(ious) != stages - 1:
            raise ValueError(
                f"training.boxes.later_ious has {len(ious)} values; network.box_stages {stages} needs {stages - 1}, one for "
                "each box head after the first"
            )
        multiple = self.input.canvas_multiple
        if self.network.heads == "fpn" and multiple % FPN_MULTIPLE:
            raise ValueError(
                f"input.canvas_multiple is {multiple}; fpn heads need a multiple of {FPN_MULTIPLE}, since each level has half "
                f"the side of the one before: set input.canvas_multiple={FPN_MULTIPLE}"
            )
        return self


class RunSettings(Section):
    """How a training run uses its machine and its data; the recipe itself stands in the model file.

    A step takes `batch` images in each process and adds up `accumulate` such batches: the learning rate follows their
    total. `short_sides`, flip and long side are the recipe's; `jitter` (smallest and largest factor) replaces them by
    large-scale jitter, and `copy_paste` is the probability that objects of another image are pasted. `crowds_as_objects`
    is for sets whose objects were drawn with a brush, which some tools write as crowds. Images with a class that less than
    a share `repeat_rare` of the images have come more often in an epoch, by LVIS's rule (0: all equally often).
    """

    batch: Few = 1
    accumulate: Few = 1
    workers: Annotated[int, Field(ge=0, le=1024)] = 2
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    clip_norm: Annotated[float, Field(gt=0, le=1e12)] | None = None
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    patience: Positive | None = None
    evaluate_every: Positive = 1
    snapshot_every: Positive = 1000
    deterministic: bool = False
    empty_images: bool = False
    crowds_as_objects: bool = False
    damaged_images: Literal["replace", "stop"] = "replace"
    group_by_aspect: bool = False
    jitter: tuple[Factor, Factor] | None = None
    copy_paste: Fraction = 0.0
    repeat_rare: Fraction = 0.0
