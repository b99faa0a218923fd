"""An inference file: one photo through the reference's network, every stage of it kept."""

from pathlib import Path
from typing import Any

import numpy as np

from golden.photos import evaluation_batch, read_records
from golden.reference import listen, make_model
from golden.sets import Fixture, GoldenSet, levels_of, target_of
from golden.storage import Recording

STAGES = {
    "backbone": "backbone",
    "neck": "neck",
    "rpn.logits": "rpn_head.rpn_rois_score",
    "rpn.deltas": "rpn_head.rpn_rois_delta",
    "anchors": "rpn_head.anchor_generator",
    "proposals": "rpn_head.test_proposal",
    "box.roi_feat": "bbox_head.roi_extractor",
    "box.head_feat": "bbox_head.head",
    "det.index": "bbox_post_process.nms",
    "det.network": "bbox_post_process",
    "mask.roi_feat": "mask_head.roi_extractor",
    "mask.logits": "mask_head.mask_fcn_logits",
}
PREDICTORS = {"box.logits": "bbox_head.bbox_score", "box.deltas": "bbox_head.bbox_delta"}
BOXES = ("box.roi_feat", "box.head_feat", *PREDICTORS)
COLLECTED = 1000  # proposals of all levels that go on to the heads


def record_inference(golden: GoldenSet, fixture: Fixture, config: Any, folder: Path) -> tuple[Recording, dict[str, Any]]:
    """Return the arrays of an inference file, and what the reference writes as COCO JSON.

    `unaligned` files pool without the half pixel.
    """
    import paddle

    model = make_model(config, golden.weight_seed, aligned=not fixture.unaligned)
    model.eval()
    model.bbox_post_process.nms.return_index = True
    heard = {key: listen(model, path) for key, path in STAGES.items() if key != "neck" or model.neck is not None}
    heard |= _listen_to_predictors(model)
    records, categories = read_records(folder, truth=False)
    photo = golden.infer[fixture.case]
    batch = evaluation_batch(config, records[photo], target_of(fixture.case))
    with paddle.no_grad():
        found = {key: value.numpy() for key, value in model(_to_tensors(batch)).items()}

    recording = Recording("infer")
    recording.summarize("image", batch["image"])
    recording |= {key: batch[key] for key in ("im_shape", "scale_factor")}
    _record_features(recording, heard, levels_of(fixture.arch))
    _record_boxes(recording, heard)
    _record_masks(recording, heard, found)
    return recording, {"image_id": photo} | coco_rows(found, batch, categories)


def record_nothing_found(golden: GoldenSet, config: Any, folder: Path) -> dict[str, Any]:
    """Return what the reference makes of a photo on which no score passes the threshold: its tensors and its COCO JSON."""
    import paddle

    model = make_model(config, golden.weight_seed)
    model.eval()
    model.bbox_post_process.nms.score_threshold = 1.5
    records, categories = read_records(folder, truth=False)
    batch = evaluation_batch(config, records[golden.infer["small_a"]], target_of("small_a"))
    with paddle.no_grad():
        found = {key: value.numpy() for key, value in model(_to_tensors(batch)).items()}
    rows = coco_rows(found, batch, categories)
    return {
        "bbox_tensor": found["bbox"].tolist(),
        "bbox_num": found["bbox_num"].tolist(),
        "mask_shape": list(found["mask"].shape),
        "mask_sum": int(found["mask"].sum()),
        "json_bbox": rows["bbox"],
        "json_segm": rows["segm"],
    }


def coco_rows(found: dict[str, Any], batch: dict[str, np.ndarray], categories: dict[int, int]) -> dict[str, Any]:
    """Return what the reference writes to bbox.json and mask.json."""
    from ppdet.metrics.coco_utils import get_infer_results

    rows = get_infer_results(found | {"im_id": batch["im_id"]}, categories)
    return {"bbox": rows["bbox"], "segm": rows["mask"]}


def _listen_to_predictors(model: Any) -> dict[str, list[Any]]:
    """Listen to the box predictor, or to those of a cascade in their order, and to the boxes that its later stages get."""
    stages = getattr(model.bbox_head, "num_cascade_stages", None)
    if stages is None:
        return {key: listen(model, path) for key, path in PREDICTORS.items()}
    heard: dict[str, list[Any]] = {"rois": listen(model, "bbox_head._get_rois_from_boxes")}
    for key, path in PREDICTORS.items():
        heard[key] = []
        for stage in range(stages):
            listen(model, f"{path}_stage{stage}", heard[key])
    return heard


def _to_tensors(batch: dict[str, np.ndarray]) -> dict[str, Any]:
    import paddle

    return {key: paddle.to_tensor(value) for key, value in batch.items()}


def _record_features(recording: Recording, heard: dict[str, list[Any]], levels: tuple[str, ...]) -> None:
    """Keep the backbone's stages, the pyramid and the RPN's maps and anchors."""
    (stages,) = heard["backbone"]
    for name, stage in zip(("res2", "res3", "res4", "res5") if len(stages) > 1 else ("res4",), stages, strict=True):
        recording.summarize(f"backbone.{name}", stage)
        recording[f"backbone.{name}.channel_mean"] = stage.numpy().mean((0, 2, 3))
    for place, level in enumerate(levels):
        if "neck" in heard:
            recording.summarize(f"fpn.{level}", heard["neck"][0][place])
        recording.summarize(f"rpn.logits.{level}", heard["rpn.logits"][place])
        recording.summarize(f"rpn.deltas.{level}", heard["rpn.deltas"][place])
        recording.summarize(f"anchors.{level}", heard["anchors"][0][place])


def _record_boxes(recording: Recording, heard: dict[str, list[Any]]) -> None:
    """Keep proposals in their final order, the box head's tensors for them, and the detections on the canvas."""
    import paddle

    levels = [(boxes, logits.flatten()) for boxes, logits, *_ in heard["proposals"]]
    boxes, logits = paddle.concat([level[0] for level in levels]), paddle.concat([level[1] for level in levels])
    if len(levels) > 1 and len(logits) > COLLECTED:
        logits, places = paddle.topk(logits, COLLECTED)
        boxes = boxes[places]
    recording["proposals.per_level"] = np.array([len(level[0]) for level in levels])
    recording["proposals.boxes"], recording["proposals.logits"] = boxes.numpy(), logits.numpy()
    tensors = {key: heard[key][0].numpy() for key in BOXES}
    for key, values in tensors.items():
        recording.summarize(key, values)
    recording["box.roi_feat.rows"] = tensors["box.roi_feat"][::125, ::16]
    recording["box.logits.rows"], recording["box.deltas.rows"] = tensors["box.logits"][::5], tensors["box.deltas"][::25]
    for place, (rois, _) in enumerate(heard.get("rois", ()), 1):  # of a cascade's later stages
        recording[f"box.stage{place}.rois"] = rois[0].numpy()
        for key in BOXES:
            recording.summarize(key.replace("box", f"box.stage{place}"), heard[key][place])
    recording["det.network"] = heard["det.network"][0][0].numpy()
    recording["det.index"] = heard["det.index"][0][2].numpy().ravel()


def _record_masks(recording: Recording, heard: dict[str, list[Any]], found: dict[str, np.ndarray]) -> None:
    """Keep the mask branch on the detections, the detections in the photo, and the areas of the pasted masks."""
    if heard["mask.logits"]:
        labels = recording["det.network"][:, 0].astype(int)
        logits = heard["mask.logits"][0].numpy()
        recording["mask.logits"] = logits[np.arange(len(labels)), labels]
        recording.summarize("mask.logits_all", logits)
        recording.summarize("mask.roi_feat", heard["mask.roi_feat"][0])
    recording["det.original"] = found["bbox"]
    recording["mask.area"] = (found["mask"] == 1).sum((1, 2))
    recording["mask.shape"] = np.array(found["mask"].shape)
