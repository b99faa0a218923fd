"""A training file: one step of the reference's network, with its targets, samples, losses and gradients."""

from pathlib import Path
from typing import Any

import numpy as np

from golden.photos import read_records, training_batch
from golden.reference import listen, make_model
from golden.roi_align_gradient import mend_roi_align
from golden.sets import Fixture, GoldenSet, levels_of
from golden.storage import Recording
from pdparams_files import rule_permutation

STAGES = {
    "rpn.logits": "rpn_head.rpn_rois_score",
    "rpn.deltas": "rpn_head.rpn_rois_delta",
    "proposals": "rpn_head.train_proposal",
    "anchor targets": "rpn_head.rpn_target_assign",
    "box targets": "bbox_head.bbox_assigner",
    "mask targets": "mask_head.mask_assigner",
    "mask.logits": "mask_head.mask_fcn_logits",
}
# Parameters whose gradient is sampled: names that contain one of these. All have norm and sum kept.
SAMPLED_GRADIENTS = (
    "backbone.res3.res3a.branch2a.conv", "backbone.res4.res4c.branch2b.conv", "backbone.res4.res4b2.branch2b.conv",
    "res5.res5a.short", "res5.res5c.branch2b.conv",
    "fpn_inner_res2_sum_lateral", "fpn_inner_res5_sum", "fpn_res2_sum", "fpn_res5_sum",
    "rpn_conv", "rpn_rois_score", "rpn_rois_delta",
    "fc6", "fc7", "bbox_score", "bbox_delta",
    "mask_inter_feat_1", "mask_inter_feat_4", "conv5_mask", "mask_fcn_logits",
)  # fmt: skip


def record_training(golden: GoldenSet, fixture: Fixture, config: Any, folder: Path) -> Recording:
    """Return the arrays of a training file: `flip` mirrors its photo, `perm` samples by stored permutations."""
    thin = mend_roi_align()
    model = make_model(config, golden.weight_seed)
    model.train()
    recording = Recording("train")
    draws = _permute(model) if fixture.case == "perm" else None
    records, _ = read_records(folder, truth=True)
    photos = golden.train[fixture.case]
    batch = training_batch(config, [records[photo] for photo in photos], mirrored=fixture.case == "flip")
    cascade = hasattr(model.bbox_head, "num_cascade_stages")
    predictor = {"box.logits": "bbox_head.bbox_score_stage0" if cascade else "bbox_head.bbox_score"}
    heard = {key: listen(model, path) for key, path in (STAGES | predictor).items()}
    losses = model(_to_inputs(batch))
    losses["loss"].backward()

    recording.summarize("image", batch["image"])
    recording |= {key: batch[key] for key in ("im_shape", "scale_factor")}
    if draws is not None:
        recording["randperm.sizes"] = np.array(draws)
    recording |= {f"loss.{name}": value.numpy().reshape(()) for name, value in losses.items()}
    recording["thin_rois"] = np.array(thin)
    for place in range(len(photos)):
        _record_truth(recording, batch, place)
        _record_samples(recording, heard, place)
        for stage, targets in enumerate(heard["box targets"][1:], 1):
            _record_rois(recording, f"im{place}.stage{stage}.rois", targets, place)
    recording["rpn.norm"] = np.array(heard["anchor targets"][0][3])
    _record_heads(recording, heard, levels_of(fixture.arch))
    _record_gradients(recording, model)
    return recording


def _permute(model: Any) -> list[int]:
    """Let a model sample by `rule_permutation`, call after call. Return the list of the sizes that it will have asked for."""
    import paddle

    model.rpn_head.rpn_target_assign.use_random = model.bbox_head.bbox_assigner.use_random = True
    sizes: list[int] = []

    def randperm(count: Any, dtype: str = "int64") -> Any:
        sizes.append(int(count))
        return paddle.to_tensor(rule_permutation(len(sizes) - 1, int(count)).astype(dtype))

    paddle.randperm = randperm
    return sizes


def _to_inputs(batch: dict[str, Any]) -> dict[str, Any]:
    """A batch as the reference's loader delivers it.

    Outlines are lists of Python floats: the reference rasterises arrays in place, which would spoil what two RoIs share.
    """
    import paddle

    inputs = {key: paddle.to_tensor(np.asarray(batch[key])) for key in ("image", "im_shape", "scale_factor")}
    for key in ("gt_bbox", "gt_class", "is_crowd"):
        inputs[key] = [paddle.to_tensor(np.asarray(values)) for values in batch[key]]
    inputs["gt_poly"] = [
        [[[float(value) for value in polygon] for polygon in outline] for outline in outlines] for outlines in batch["gt_poly"]
    ]
    return inputs


def _record_truth(recording: Recording, batch: dict[str, Any], place: int) -> None:
    for key in ("gt_bbox", "gt_class", "is_crowd"):
        recording[f"im{place}.{key}"] = np.asarray(batch[key][place])
    outlines = batch["gt_poly"][place]
    polygons = [np.asarray(polygon, np.float64) for outline in outlines for polygon in outline]
    recording[f"im{place}.gt_poly.xy"] = np.concatenate(polygons)
    recording[f"im{place}.gt_poly.lengths"] = np.array([len(polygon) for polygon in polygons])
    recording[f"im{place}.gt_poly.parts"] = np.array([len(outline) for outline in outlines])


def _record_samples(recording: Recording, heard: dict[str, list[Any]], place: int) -> None:
    """Keep the anchors and the RoIs that were sampled in one photo, with their targets."""
    labels, objects, deltas, _ = heard["anchor targets"][0]
    labels = labels[place].numpy()
    positive, negative = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    recording |= {
        f"im{place}.rpn.num_anchors": np.array(labels.size),
        f"im{place}.rpn.pos": positive,
        f"im{place}.rpn.neg": negative,
        f"im{place}.rpn.pos_matched": objects[place].numpy()[positive],
        f"im{place}.rpn.pos_deltas": deltas[place].numpy()[positive],
    }
    _record_rois(recording, f"im{place}.rois", heard["box targets"][0], place)


def _record_rois(recording: Recording, key: str, targets: Any, place: int) -> None:
    """Keep the RoIs of one photo that a box head trains on, and what each stands for."""
    rois, _, (classes, boxes, indices) = targets
    recording |= {
        key: rois[place].numpy(),
        f"{key}.labels": classes[place].numpy().ravel(),
        f"{key}.gt_box": boxes[place].numpy(),
        f"{key}.gt_index": indices[place].numpy().ravel(),
    }


def _record_heads(recording: Recording, heard: dict[str, list[Any]], levels: tuple[str, ...]) -> None:
    """Keep proposals, mask targets and what the heads say."""
    _, counts, classes, targets, indices, weights = (
        part if isinstance(part, list) else part.numpy() for part in heard["mask targets"][0]
    )
    proposals = [result[0].numpy() for result in heard["proposals"]]
    recording["proposals.per_level"] = np.array([len(boxes) for boxes in proposals])
    recording.summarize("proposals.pre_collect", np.concatenate(proposals))
    recording |= {
        "mask.rois_num": counts,
        "mask.classes": classes.ravel(),
        "mask.index": indices.ravel(),
        "mask.targets.bits": np.packbits(targets.astype(np.uint8)),
        "mask.targets.shape": np.array(targets.shape),
        "mask.weights": weights,
        "box.logits.rows": heard["box.logits"][0].numpy()[::16],
    }
    recording.summarize("mask.logits", heard["mask.logits"][0])
    for place, level in enumerate(levels):
        recording.summarize(f"rpn.logits.{level}", heard["rpn.logits"][place])
        recording.summarize(f"rpn.deltas.{level}", heard["rpn.deltas"][place])


def _record_gradients(recording: Recording, model: Any) -> None:
    """Keep norm and sum of every trainable parameter's gradient, without weight decay, and samples of some."""
    gradients = {
        name: np.zeros(parameter.shape, np.float32) if parameter.grad is None else parameter.grad.numpy()
        for name, parameter in model.named_parameters()
        if not parameter.stop_gradient
    }
    recording["grad.names"] = np.array(list(gradients))
    wide = [gradient.astype(np.float64) for gradient in gradients.values()]
    recording["grad.norm_sum"] = np.array([[np.sqrt((gradient**2).sum()), gradient.sum()] for gradient in wide])
    for name, gradient in gradients.items():
        if any(part in name for part in SAMPLED_GRADIENTS):
            recording.summarize(f"grad.{name}", gradient)
