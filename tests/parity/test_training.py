"""Training equals PaddleDetection: targets, samples, the five losses and every gradient, on the golden sets' pictures."""

import itertools
import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from golden.sets import ARCHS, levels_of
from golden.storage import take_sample
from library_files import lay_as_paddle
from maskzoo.images.batch import make_batch
from maskzoo.models.proposals import propose
from maskzoo.ops.boxes import RPN_WEIGHTS, encode
from maskzoo.structures import GroundTruth
from maskzoo.training.objective import Objective
from maskzoo.training.targets import assign_boxes, in_order, rasterize, sample_anchors, sample_boxes
from maskzoo.weights.paddledetection import list_renames
from maskzoo.zoo.load import load_network
from parity_record import note
from pdparams_files import rule_permutation, write_rule_weights
from shared_data import GOLDEN_SETS, has_twin, need_golden


@dataclass(frozen=True)
class Case:
    folder: Path
    arch: str
    name: str  # one, flip, pair, perm

    @property
    def file(self) -> str:
        return f"train_{self.arch}_{self.name}"


def _find_cases() -> list[Any]:
    cases = []
    for folder in GOLDEN_SETS:
        files = sorted(folder.glob("train_*.npz"))
        for file in files:
            arch = next(arch for arch in ARCHS if file.stem.startswith(f"train_{arch}_"))
            name = file.stem.removeprefix(f"train_{arch}_")
            slow = [pytest.mark.slow] if arch == "r50_c4" and has_twin(folder) else []
            cases.append(pytest.param(Case(folder, arch, name), id=f"{folder.name}-{arch}-{name}", marks=slow))
        if not files:
            cases.append(pytest.param(Case(folder, "none", "none"), id=f"{folder.name}-absent"))
    return cases


@pytest.fixture(scope="module", params=_find_cases())
def step(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> "Step":
    case: Case = request.param
    need_golden(case.folder)
    row = ARCHS[case.arch]
    seed = json.loads((case.folder / "set.json").read_text())["weight_seed"]
    file = tmp_path_factory.mktemp("weights") / f"{row}.pdparams"
    write_rule_weights(file, row, seed)
    network, config = load_network(row, file)
    file.unlink()
    return Step(case, network, config)


class Step:
    """One training step on a golden picture, run once for all tests of a case."""

    def __init__(self, case: Case, network: Any, config: Any) -> None:
        self.case, self.network, self.config = case, network, config
        self.golden = dict(np.load(case.folder / f"{case.file}.npz"))
        inputs = np.load(case.folder / "inputs.npz")
        self.pictures = [inputs[f"train.{case.name}.im{j}.resized"] for j in range(2 if case.name == "pair" else 1)]
        if case.name == "flip":
            self.pictures = [np.ascontiguousarray(picture[:, ::-1]) for picture in self.pictures]
        self.batch = make_batch(self.pictures, config.input, self.golden["im_shape"].tolist())
        self.truth = self._read_truth()

    def hold(self, stage: str, error: float, tolerance: float, where: str = "") -> None:
        """Note an error for docs/parity.md, and hold it against its tolerance."""
        note(self.case.folder, self.case.file, stage, error, tolerance)
        assert error <= tolerance, f"{stage} {where}"

    def _read_truth(self) -> GroundTruth:
        batch = range(len(self.pictures))
        most = max(len(self.golden[f"im{j}.gt_bbox"]) for j in batch)
        boxes, labels = torch.zeros(len(batch), most, 4), torch.zeros(len(batch), most, dtype=torch.int64)
        valid = torch.zeros(len(batch), most, dtype=torch.bool)
        outlines = []
        for j in batch:
            count = len(self.golden[f"im{j}.gt_bbox"])
            boxes[j, :count] = torch.from_numpy(self.golden[f"im{j}.gt_bbox"])
            labels[j, :count] = torch.from_numpy(self.golden[f"im{j}.gt_class"][:, 0]).long()
            valid[j, :count] = True
            ends = np.cumsum(self.golden[f"im{j}.gt_poly.lengths"])
            polygons = iter(np.split(self.golden[f"im{j}.gt_poly.xy"], ends[:-1]))
            parts = self.golden[f"im{j}.gt_poly.parts"]
            outlines.append([[next(polygons).tolist() for _ in range(int(count))] for count in parts])
        return GroundTruth(boxes, labels, torch.zeros_like(valid), valid, outlines)

    def make_shuffle(self):
        """Draws in the golden file's order; `perm` files replace the c-th draw by a stored rule's permutation."""
        if self.case.name != "perm":
            return in_order
        calls = itertools.count()
        return lambda count: torch.from_numpy(rule_permutation(next(calls), count))

    @cached_property
    def outputs(self) -> tuple[Any, ...]:
        """RPN maps, anchors, the samples of the RPN and of the heads."""
        model, recipe = self.network, self.config.training
        shuffle = self.make_shuffle()
        with torch.no_grad():
            features = model.features(self.batch.pixels)
            scores, deltas = model.rpn(features)
            anchors = model.make_anchors(features)
        joined = torch.cat(anchors)
        rpn = [sample_anchors(joined, self.truth, j, recipe.rpn, shuffle) for j in range(len(self.pictures))]
        proposals = propose(scores, deltas, anchors, self.batch.sizes, recipe.proposals)
        samples = sample_boxes(proposals, self.truth, recipe.boxes, len(self.config.classes), [shuffle] * len(self.pictures))
        return scores, deltas, joined, rpn, proposals, samples

    @cached_property
    def losses(self):
        objective = Objective(self.network, self.config.training, len(self.config.classes))
        self.network.zero_grad()
        losses = objective(self.batch, self.truth, [self.make_shuffle()] * len(self.pictures))
        losses.total.backward()
        return losses


def test_the_batch_is_equal(step):
    values = step.batch.pixels.contiguous().numpy()
    assert values.shape == tuple(step.golden["image.shape"])
    step.hold("image", np.abs(take_sample("train", "image", values) - step.golden["image.sample"]).max(), 1e-6)


def test_rpn_maps_are_equal(step):
    scores, deltas = step.outputs[:2]
    with torch.no_grad():
        shapes = [level.shape[2:] for level in step.network.features(step.batch.pixels)]
    for level, (height, width), *maps in zip(levels_of(step.case.arch), shapes, scores, deltas, strict=True):
        for kind, ours in zip(("logits", "deltas"), maps, strict=True):
            values = ours.reshape(len(ours), height, width, -1).permute(0, 3, 1, 2).contiguous().numpy()
            key = f"rpn.{kind}.{level}"
            assert values.shape == tuple(step.golden[f"{key}.shape"])
            error = np.abs(take_sample("train", key, values) - step.golden[f"{key}.sample"]).max()
            step.hold(f"rpn.{kind}", error / step.golden[f"{key}.stats"][1], 2e-4)


def test_sampled_anchors_and_their_targets_are_equal(step):
    _, _, anchors, rpn, *_ = step.outputs
    for j, (positive, negative, objects) in enumerate(rpn):
        assert len(anchors) == int(step.golden[f"im{j}.rpn.num_anchors"])
        order = positive.argsort()
        for kind, ours in (("pos", positive), ("neg", negative)):
            stored = step.golden[f"im{j}.rpn.{kind}"]
            assert len(ours) == len(stored)
            step.hold("sampled anchors that differ", len(set(ours.tolist()) ^ set(stored.tolist())), 0)
        assert (objects[order].numpy() == step.golden[f"im{j}.rpn.pos_matched"]).all()
        deltas = encode(anchors[positive], objects, RPN_WEIGHTS)[order].numpy()
        step.hold("anchors' targets (deltas)", np.abs(deltas - step.golden[f"im{j}.rpn.pos_deltas"]).max(), 1e-5)


def test_sampled_rois_are_equal(step):
    samples = step.outputs[5]
    for j in range(len(step.pictures)):
        valid = samples.valid[j]
        stored, labels = step.golden[f"im{j}.rois"], step.golden[f"im{j}.rois.labels"]
        ours, our_labels = samples.boxes[j][valid].numpy(), samples.labels[j][valid].numpy()
        assert len(ours) == len(stored)
        assert samples.foreground[j].sum() == step.golden["mask.rois_num"][j]
        # Proposals of nearly equal logits may swap places, so that RoIs are compared as a set, with what they stand for.
        same = np.abs(ours[:, None] - stored[None]).max(axis=-1) <= 0.05
        same &= our_labels[:, None] == labels[None]
        both = (our_labels[:, None] < 80) & (labels[None] < 80)
        same &= ~both | (samples.truth_index[j][valid].numpy()[:, None] == step.golden[f"im{j}.rois.gt_index"][None])
        step.hold("sampled RoIs that differ (share)", 1 - min(same.any(axis=0).mean(), same.any(axis=1).mean()), 0.005)
        assert same.any(axis=0)[labels < 80].all()


def test_a_cascades_later_stages_stand_for_the_same_objects(step):
    for place, iou in enumerate(step.config.training.boxes.later_ious, 1):
        keys = [f"im{j}.stage{place}.rois" for j in range(len(step.pictures))]
        boxes = [torch.from_numpy(step.golden[key]) for key in keys]
        most = max(map(len, boxes))
        slots = torch.stack([F.pad(some, (0, 0, 0, most - len(some))) for some in boxes])
        before = replace(step.outputs[5], counts=tuple((0, len(some)) for some in boxes))
        samples = assign_boxes(slots, before, step.truth, iou, 80)
        for j, key in enumerate(keys):
            count, labels = len(boxes[j]), step.golden[f"{key}.labels"]
            order = [*np.flatnonzero(labels < 80), *np.flatnonzero(labels == 80)]  # ours has the objects first
            assert samples.valid[j].sum() == count and samples.counts[j] == ((labels < 80).sum(), count)
            assert (samples.boxes[j, :count].numpy() == step.golden[key][order]).all()
            assert samples.labels[j, :count].tolist() == labels[order].tolist()
            objects = samples.counts[j][0]  # the background's are ties
            assert samples.truth_index[j, :objects].tolist() == step.golden[f"{key}.gt_index"][order[:objects]].tolist()
        assert any(objects > 0 for objects, _ in samples.counts)


def test_mask_targets_of_the_stored_rois_are_equal(step):
    count, side, _ = (int(value) for value in step.golden["mask.targets.shape"])
    stored = np.unpackbits(step.golden["mask.targets.bits"])[: count * side * side].reshape(count, side, side)
    place = 0
    for j, number in enumerate(step.golden["mask.rois_num"]):
        for index in step.golden["mask.index"][place : place + int(number)]:
            outline = step.truth.outlines[j][int(step.golden[f"im{j}.rois.gt_index"][index])]
            ours = rasterize(outline, step.golden[f"im{j}.rois"][index].tolist(), side)
            step.hold("mask targets (pixels that differ)", int((ours != stored[place]).sum()), 0)
            place += 1
    assert place == count > 0


def test_losses_are_equal(step):
    names = {
        "rpn_class": "loss_rpn_cls", "rpn_box": "loss_rpn_reg", "box_class": "loss_bbox_cls",
        "box_delta": "loss_bbox_reg", "mask": "loss_mask", "total": "loss",
    }  # fmt: skip
    for ours, theirs in names.items():
        stages = [f"loss.{theirs}_stage{place}" for place in range(3)]  # of a cascade
        terms = [key for key in (f"loss.{theirs}", *stages) if key in step.golden]
        expected = sum(float(step.golden[key]) for key in terms)
        assert expected > 0
        error = abs(float(getattr(step.losses, ours).detach()) - expected)
        step.hold(f"loss {theirs.removeprefix('loss_')} (relative)", error / expected, 1e-4)


def test_gradients_are_equal(step):
    assert float(step.losses.total.detach()) > 0
    table = {entry.theirs: entry for entry in list_renames(step.config.network)}
    parameters = dict(step.network.named_parameters())
    trained = {entry.theirs for entry in table.values() if entry.ours in parameters and parameters[entry.ours].requires_grad}
    assert trained == set(step.golden["grad.names"].tolist())
    for name, (norm, _) in zip(step.golden["grad.names"].tolist(), step.golden["grad.norm_sum"], strict=True):
        gradient = lay_as_paddle(parameters[table[name].ours].grad.detach().numpy(), table[name].layout)
        error = abs(float(np.linalg.norm(gradient.astype(np.float64))) - norm)
        if norm == 0:
            assert error <= 1e-9, name
            continue
        step.hold("gradient norms (relative)", error / norm, 5e-3, name)
        if (key := f"grad.{name}") + ".sample" in step.golden:
            stored, std = step.golden[f"{key}.sample"], step.golden[f"{key}.stats"][1]
            errors = (take_sample("train", key, gradient) - stored) / std
            step.hold("gradient samples (worst element)", np.abs(errors).max(), 0.15, name)
            step.hold("gradient samples (root mean square)", np.sqrt((errors**2).mean()), 0.02, name)
