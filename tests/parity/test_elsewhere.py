"""The network equals those of torchvision, detectron2 and mmdetection stage by stage, from their own weights files.

One set of fixtures is part of the project, `golden/elsewhere/synthetic`; another is where MASKZOO_GOLDEN_ELSEWHERE says. Each
stage starts from the library's own input to it. Tolerances are those that the sets' READMEs call fair.
"""

import gzip
import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest
import torch
from hotcoco import mask as coco_mask

from elsewhere_files import ROWS, read_row_of, rule_state, write_library_file
from maskzoo.images.batch import batch_resized
from maskzoo.images.read import read_image
from maskzoo.images.resize import resize_photo
from maskzoo.inference.backends import Eager
from maskzoo.inference.prediction import make_prediction
from maskzoo.inference.predictor import Predictor
from maskzoo.ops.masks import paste
from maskzoo.ops.roi_align import assign_levels
from maskzoo.structures import Proposals
from maskzoo.zoo.load import build_empty, read_weights
from parity_record import note
from shared_data import ROOT, SHARED, need_shared

MAPS, HEADS = 2e-4, 1e-3
SYNTHETIC = ROOT / "tests" / "golden" / "elsewhere" / "synthetic"
SET = Path(os.environ.get("MASKZOO_GOLDEN_ELSEWHERE", SHARED / "golden" / "elsewhere" / "public"))
LEVELS = ("p2", "p3", "p4", "p5", "p6")
SLOW = ("r101", "x101", "full", "c4", "dc5")  # minutes of work


@dataclass(frozen=True)
class Case:
    folder: Path
    arch: str
    name: str

    @property
    def file(self):
        return f"infer_{self.arch}_{self.name}"


def _find_cases():
    cases, twins = [], set()
    for folder in (SET, SYNTHETIC):
        if not (folder / "set.json").exists():
            cases.append(pytest.param(Case(folder, "", ""), id="absent"))
            continue
        for key in sorted(json.loads((folder / "set.json").read_text())["background"]):
            arch = max((arch for arch in ROWS if key.startswith(f"{arch}_")), key=len)
            case = Case(folder, arch, key.removeprefix(f"{arch}_"))
            slow = any(part in key for part in SLOW) or case.name == "small_b" or key in twins
            cases.append(pytest.param(case, id=f"{folder.name}-{key}", marks=[pytest.mark.slow] if slow else []))
            twins.add(key)
    return cases


@pytest.fixture(scope="module", params=_find_cases())
def walk(request, tmp_path_factory):
    if not request.param.arch:
        need_shared("golden", "elsewhere", "public", "set.json")
        pytest.fail(f"{SET} has no set.json; MASKZOO_GOLDEN_ELSEWHERE names a folder that has")
    return Walk(request.param, tmp_path_factory.mktemp("weights"))


class Walk:
    """What the file of a case says and what the network computes, stage by stage."""

    def __init__(self, case, folder):
        self.case, info = case, json.loads((case.folder / "set.json").read_text())
        self.golden = dict(np.load(case.folder / f"{case.file}.npz"))
        short, long = info["cases"][case.name]["size"]
        self.image_id = info["cases"][case.name]["image_id"]
        self.config = read_row_of(case.arch, f"input.short_side={short}", f"input.long_side={long}")
        background = info["background"][f"{case.arch}_{case.name}"]
        state = rule_state(case.arch, info["weight_seed"], background)
        file = write_library_file(folder, case.arch, state)
        network = build_empty(self.config)
        network.load_state_dict(read_weights(file, self.config, network), assign=True)
        file.unlink()
        self.predictor = Predictor(Eager(network, torch.device("cpu"), torch.float32), self.config)
        self.model, self.heads = self.predictor.backend.model, self.predictor.backend.model.heads
        self.kind = self.config.network.heads
        self.levels = {"fpn": LEVELS, "dc5": ("res5",), "c4": ("res4",)}[self.kind]
        self.first = int(case.arch.startswith("tv_"))  # the label of the first class: background comes before or after all

    def read(self, key):
        return torch.from_numpy(self.golden[key])

    def check(self, key, ours, tolerance, *, statistics=True):
        """Compare a summarised tensor, errors in units of its deviation; what is not a number here is not compared."""
        values = ours.detach().float().contiguous().numpy() if isinstance(ours, torch.Tensor) else ours
        assert values.shape == tuple(self.golden[f"{key}.shape"])
        expected, stats = self.golden[f"{key}.sample"], self.golden[f"{key}.stats"]
        found = values.ravel()[:: _find_step(values.size, expected.size)]
        assert found.shape == expected.shape and np.isfinite(found).mean() > 0.9
        error = np.nanmax(np.abs(found.astype(float) - expected))
        self.note(key, error / (stats[1] or 1.0), tolerance)
        assert error <= tolerance * stats[1]
        if statistics:
            numbers = values.astype(np.float64)
            ours = [numbers.mean(), numbers.std(), np.abs(numbers).mean(), numbers.min(), numbers.max()]
            assert np.abs(ours - stats).max() <= tolerance * stats[1]

    def note(self, stage, error, tolerance):
        note(self.case.folder, f"elsewhere_{self.case.arch}_{self.case.name}", stage, error, tolerance)

    @cached_property
    def resized(self):
        return resize_photo(read_image(self.photo), self.config.input)

    @property
    def photo(self):
        return self.case.folder / "images" / f"{self.image_id:012d}.png"

    @cached_property
    def batch(self):
        return batch_resized([self.resized], self.config.input)

    @cached_property
    def stages(self):
        with torch.inference_mode():
            return self.model.backbone(self.batch.pixels)

    @cached_property
    def features(self):
        with torch.inference_mode():
            return self.model.pyramid(list(self.stages)) if self.kind == "fpn" else self.stages

    @cached_property
    def scored(self):
        with torch.inference_mode():
            return self.model.score_anchors(self.features)

    def run(self, head, boxes, side):
        """What a head makes of the boxes, and their RoI features, in their order."""
        table, levels = self.heads.table(self.features), assign_levels(boxes, len(self.heads.strides))
        levels, order = levels.sort(stable=True)
        parts = zip(boxes[order].split(128), levels.split(128), strict=True)
        with torch.inference_mode():
            pooled = [self.heads.pool(table, box, torch.zeros_like(level), level, side) for box, level in parts]
            done = torch.cat([head(part) for part in pooled])
        return torch.cat(pooled)[order.argsort()], done[order.argsort()]

    @cached_property
    def boxes(self):
        """RoI features, the box head's feature, logits and deltas of the stored proposals."""
        head = self.heads.mask_head if self.kind == "c4" else self.heads.box_head
        pooled, feature = self.run(head, self.read("proposals.boxes"), self.heads.box_side)
        with torch.inference_mode():
            return pooled, feature, *self.heads.box(feature.mean(dim=(2, 3)) if self.kind == "c4" else feature)

    @cached_property
    def rows(self):
        with gzip.open(self.case.folder / f"{self.case.file}.json.gz", "rt") as file:
            written = json.load(file)
        return [segm | {"bbox": box["bbox"]} for segm, box in zip(written["segm"], written["bbox"], strict=True)]

    def from_stored(self):
        """The prediction that follows from the stored detections and mask logits."""
        stored, limits = self.golden["det.network"], self.config.limits.detections
        height, width = self.golden["mask.shape"][1:].tolist()
        new_height, new_width = self.golden["im_shape"].tolist()
        return make_prediction(
            stored[:, 2:], stored[:, 1], stored[:, 0].astype(np.int64) - self.first, self.read("mask.logits").sigmoid().numpy(),
            size=(height, width), scale=(new_height / height, new_width / width), classes=self.config.classes,
            threshold=limits.mask_threshold, paste=limits.paste, order=limits.order,
        )  # fmt: skip


def _find_step(size, samples):
    steps = (max(1, size // most) | 1 for most in (512, 1024, 2048, 4096, 8192))
    return next(step for step in steps if -(-size // step) == samples)


def test_the_photo_is_resized_as_by_the_library(walk):
    expected = tuple(walk.golden["im_shape"])
    assert walk.resized.pixels.shape[:2] == expected == walk.resized.extent
    pixels = walk.resized.pixels[..., ::-1]
    if "resized" in walk.golden:
        assert np.array_equal(pixels, walk.golden["resized"])
    elif "resized.sample" in walk.golden:
        walk.check("resized", pixels, 0.0, statistics=False)


def test_the_networks_input_is_equal(walk):
    """In absolute numbers: torchvision's resize gives fractions of grey levels."""
    values = walk.batch.pixels.contiguous().numpy()
    assert values.shape == tuple(walk.golden["image.shape"])
    expected = walk.golden["image.sample"]
    found = values.ravel()[:: _find_step(values.size, expected.size)]
    error, tolerance = np.abs(found - expected).max(), 1e-4 if walk.first else 1e-6
    walk.note("image (resized in floating point)" if walk.first else "image", error, tolerance)
    assert error <= tolerance


def test_backbone_stages_are_equal(walk):
    names = ("res2", "res3", "res4", "res5") if walk.kind == "fpn" else walk.levels
    for name, stage in zip(names, walk.stages, strict=True):
        walk.check(f"backbone.{name}", stage, MAPS)
        error = np.abs(stage.mean(dim=(0, 2, 3)).numpy() - walk.golden[f"backbone.{name}.channel_mean"]).max()
        assert error <= MAPS * walk.golden[f"backbone.{name}.stats"][1]


def test_pyramid_rpn_maps_and_anchors_are_equal(walk):
    for index, name in enumerate(walk.levels):
        feature = walk.features[index]
        if walk.kind == "fpn":
            walk.check(f"fpn.{name}", feature, MAPS)
        shape = (1, *feature.shape[2:], -1)
        scores, deltas, anchors = (part[index] for part in walk.scored)
        walk.check(f"rpn.logits.{name}", scores.reshape(shape).permute(0, 3, 1, 2), MAPS)
        walk.check(f"rpn.deltas.{name}", deltas.reshape(shape).permute(0, 3, 1, 2), MAPS)
        walk.check(f"anchors.{name}", anchors, 1e-6)


def test_proposals_are_found(walk):
    ours = walk.model.propose(*walk.scored, walk.batch.sizes, walk.config.limits.proposals).trimmed().boxes[0].numpy()
    expected = walk.golden["proposals.boxes"]
    assert abs(len(ours) - len(expected)) <= 0.005 * len(expected)
    distance = np.abs(ours[:, None] - expected[None]).max(axis=-1)
    found = (distance.min(axis=0) <= 0.05).mean()
    walk.note("proposals missed (share)", 1 - found, 0.005)
    assert found >= 0.995
    assert (distance.min(axis=1) <= 0.05).mean() >= 0.995


def test_box_head_outputs_for_the_stored_proposals_are_equal(walk):
    pooled, feature, scores, deltas = walk.boxes
    walk.check("box.roi_feat", pooled, HEADS)
    rows = walk.golden["box.roi_feat.rows"]
    error = np.abs(pooled[::125, :: pooled.shape[1] // rows.shape[1]].numpy() - rows).max()
    assert error <= HEADS * walk.golden["box.roi_feat.stats"][1]
    walk.check("box.head_feat", feature, HEADS)
    scores, deltas = scores.numpy(), deltas.flatten(1).numpy()
    if walk.first:  # the deltas of the background are not kept
        scores = np.roll(scores, 1, axis=1)
        deltas = np.concatenate([np.full((len(deltas), 4), np.nan, np.float32), deltas], axis=1)
    for key, ours, step in (("box.logits", scores, 10), ("box.deltas", deltas, 50)):
        walk.check(key, ours, HEADS, statistics=np.isfinite(ours).all())
        assert np.nanmax(np.abs(ours[::step] - walk.golden[f"{key}.rows"])) <= HEADS * walk.golden[f"{key}.stats"][1]


def test_detections_from_the_stored_proposals_are_equal(walk):
    boxes = walk.read("proposals.boxes")[None]
    proposals = Proposals(boxes, walk.read("proposals.scores")[None], torch.ones(boxes.shape[:2], dtype=torch.bool))
    _, _, scores, deltas = walk.boxes
    ours = walk.model.detect(scores[None], deltas[None], proposals, walk.batch.sizes).trimmed()
    expected = walk.golden["det.network"]
    order = ours.scores[0].argsort(descending=True, stable=True)
    found = torch.cat([ours.labels.T + walk.first, ours.scores.T, ours.boxes[0]], dim=1)[order].numpy()
    assert found.shape == expected.shape
    places = [_find(row, expected) for row in found]
    assert sorted(places) == list(range(len(expected)))
    walk.note("detections: score", np.abs(found[:, 1] - expected[places, 1]).max(), 1e-3)
    walk.note("detections: box (pixels)", np.abs(found[:, 2:] - expected[places, 2:]).max(), 0.02)
    near = np.abs(found[:, 1] - expected[:, 1]) <= 1e-4
    assert near.all()  # so the order is theirs, but for scores that are equal
    if "det.roi" in walk.golden:
        assert np.array_equal(ours.rois[0][order].numpy(), walk.golden["det.roi"][places])


def _find(row, expected):
    """The place of the one detection in `expected` (label, score, box) that `row` is."""
    same = (expected[:, 0] == row[0]) & (np.abs(expected[:, 1] - row[1]) <= 1e-3)
    same &= np.abs(expected[:, 2:] - row[2:]).max(axis=1) <= 0.02
    assert same.sum() == 1, row
    return int(same.argmax())


def test_mask_logits_of_the_stored_detections_are_equal(walk):
    stored = walk.golden["det.network"]
    pooled, maps = walk.run(walk.heads.mask_head, torch.from_numpy(stored[:, 2:].copy()), 14)
    if walk.kind == "c4":
        walk.check("mask.head_in", maps, HEADS)
    else:
        walk.check("mask.roi_feat", pooled, HEADS)
    with torch.inference_mode():
        ours = walk.heads.mask(maps, torch.from_numpy(stored[:, 0]).long() - walk.first)
    expected = walk.golden["mask.logits"]
    error = np.abs(ours.numpy() - expected).max() / expected.std()
    walk.note("mask.logits", error, HEADS)
    assert error <= HEADS


def test_boxes_and_masks_on_the_photo_follow_from_stored_ones(walk):
    ours, expected = walk.from_stored(), walk.golden["det.original"]
    assert np.array_equal(ours.labels + walk.first, expected[:, 0])
    error = np.abs(ours.boxes - expected[:, 2:]).max()
    walk.note("boxes in the photo (pixels)", error, 1e-3)
    assert error <= 1e-3
    assert np.array_equal(ours.category_ids, walk.golden["det.category_id"])
    error = np.abs(ours.masks.area() - walk.golden["mask.area"]).max()
    walk.note("pasted masks (pixels)", error, 2)
    assert error <= 2
    for row, theirs in zip(ours.to_coco(walk.image_id), walk.rows, strict=True):
        assert (row["image_id"], row["category_id"], row["score"]) == tuple(
            theirs[key] for key in ("image_id", "category_id", "score")
        )
        assert np.abs(np.array(row["bbox"]) - theirs["bbox"]).max() <= 1e-3
        both = coco_mask.decode([row["segmentation"], theirs["segmentation"]])
        assert (both[..., 0] != both[..., 1]).sum() <= 2


def test_soft_masks_are_torchvisions(walk):
    if "mask.soft.sample" not in walk.golden:
        pytest.skip("only torchvision returns soft masks")
    soft = _paste_all(walk.from_stored().masks)
    assert soft.shape == tuple(walk.golden["mask.soft.shape"])
    expected = walk.golden["mask.soft.sample"]
    assert np.abs(soft.ravel()[:: _find_step(soft.size, expected.size)] - expected).max() <= 1e-4


def _paste_all(masks):
    whole = np.zeros((len(masks), *masks.size), np.float32)
    for mask, probability, box in zip(whole, masks.probabilities, masks.boxes, strict=True):
        values, (left, top) = paste(torch.from_numpy(probability), torch.from_numpy(box), masks.size)
        mask[top : top + values.shape[0], left : left + values.shape[1]] = values
    return whole


def test_the_photo_gives_the_same_coco_rows_end_to_end(walk):
    prediction = walk.predictor.predict(walk.photo, score=0)
    rows = prediction.to_coco(walk.image_id)
    assert len(rows) == len(walk.rows)
    soft, left = _paste_all(prediction.masks), list(range(len(rows)))
    assert (np.diff(prediction.scores) <= 0).all()
    for expected in walk.rows:
        place = next(place for place in left if _is_same(rows[place], expected))
        left.remove(place)
        both = coco_mask.decode([rows[place]["segmentation"], expected["segmentation"]]).astype(bool)
        differ = both[..., 0] != both[..., 1]
        share = differ.sum() / max(1, both.any(axis=-1).sum())
        assert share <= 0.005 or np.abs(soft[place][differ] - 0.5).max() <= 1e-3


def _is_same(row, expected):
    same = row["category_id"] == expected["category_id"] and abs(row["score"] - expected["score"]) <= 1e-3
    return same and np.abs(np.array(row["bbox"]) - expected["bbox"]).max() <= 0.05
