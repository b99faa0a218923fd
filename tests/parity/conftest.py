"""Every golden set is walked by the real path: rule-made weights, `.pdparams` file, reader, table, packed network."""

import gzip
import json
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from golden.sets import ARCHS
from golden.storage import take_sample, take_statistics
from maskzoo.images.batch import make_batch
from maskzoo.inference.prediction import Prediction
from maskzoo.inference.predictor import Predictor
from maskzoo.ops.roi_align import FeatureTable, assign_levels, roi_align
from maskzoo.structures import ImageBatch
from maskzoo.zoo.load import load
from parity_record import note, write_record
from pdparams_files import write_rule_weights
from shared_data import GOLDEN_SETS, ONE_FACTOR, has_twin, need_golden

LARGE = ("r101_vd_fpn", "x101_vd_64x4d_fpn")  # their full-size cases are slow


@dataclass(frozen=True)
class Case:
    """One inference fixture: `<folder>/infer_<arch>_<name>.npz`; `name` may end in _unaligned."""

    folder: Path
    arch: str
    name: str

    @property
    def file(self) -> str:
        return f"infer_{self.arch}_{self.name}"

    @property
    def aligned(self) -> bool:
        return not self.name.endswith("_unaligned")

    @property
    def photo(self) -> str:
        return self.name.removesuffix("_unaligned")


def _find_cases() -> list[Any]:
    cases = []
    for folder in GOLDEN_SETS:
        files = sorted(folder.glob("infer_*.npz"))
        if not files:
            absent = Case(folder, "none", "none")
            cases.append(pytest.param(absent, id=f"{folder.name}-absent"))
        for file in files:
            arch = next(arch for arch in ARCHS if file.stem.startswith(f"infer_{arch}_"))
            case = Case(folder, arch, file.stem.removeprefix(f"infer_{arch}_"))
            slow = case.photo == "full" and (arch in LARGE or arch == "r50_c4")
            slow |= arch == "r50_c4" and has_twin(folder)
            cases.append(pytest.param(case, id=f"{folder.name}-{arch}-{case.name}", marks=[pytest.mark.slow] if slow else []))
    return cases


@pytest.fixture(scope="session")
def weights_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("weights")


@pytest.fixture(scope="module", params=_find_cases())
def walk(request: pytest.FixtureRequest, weights_folder: Path) -> Iterator["Walk"]:
    case: Case = request.param
    if case.arch == "none":
        need_golden(case.folder)
        pytest.fail(f"{case.folder} holds no infer_*.npz")
    yield _walk(case, weights_folder)


def _walk(case: Case, folder: Path) -> "Walk":
    """Walks are kept while one network is looked at: a case is asked for once per test."""
    key = (case.folder, case.arch)
    if _kept.get("key") != key:
        _kept.clear()
        _kept.update(key=key, predictor=_load(case, folder))
    if case not in _kept:
        _kept[case] = Walk(case, _kept["predictor"])
    return _kept[case]


_kept: dict[Any, Any] = {}


def _load(case: Case, folder: Path) -> Predictor:
    row = ARCHS[case.arch]
    seed = json.loads((case.folder / "set.json").read_text())["weight_seed"]
    file = folder / f"{row}.pdparams"
    write_rule_weights(file, row, seed)
    predictor = load(row, file, device="cpu")
    file.unlink()
    return predictor


class Walk:
    """What the golden file says and what the network computes, stage by stage. Later stages start from stored values."""

    def __init__(self, case: Case, predictor: Predictor) -> None:
        self.case, self.predictor, self.model, self.config = case, predictor, predictor.backend.model, predictor.config
        self.golden = dict(np.load(case.folder / f"{case.file}.npz"))
        inputs = np.load(case.folder / "inputs.npz")
        self.inputs = {key: inputs[f"infer.{case.photo}.{key}"] for key in ("resized", "im_shape", "scale_factor", "image_id")}
        whole = self.inputs["im_shape"] == self.inputs["resized"].shape[:2]
        self.rule = "rounded" if whole.all() else "one_factor"  # of two that lead to one size it does not matter which
        self.levels = ("p2", "p3", "p4", "p5", "p6") if self.config.network.heads == "fpn" else ("c4",)

    def read(self, key: str) -> torch.Tensor:
        return torch.from_numpy(self.golden[key])

    def need_stages(self) -> None:
        """Skip what the set of one factor leaves out: the stages that no size reaches."""
        if self.case.folder == ONE_FACTOR:
            pytest.skip("this set keeps photo, proposals and detections; the others hold the stages between")

    def check(self, key: str, ours: torch.Tensor, tolerance: float) -> None:
        """Compare a summarised tensor: shape, samples, mean, deviation, extremes; errors in units of its deviation."""
        values = ours.detach().float().contiguous().numpy()
        assert values.shape == tuple(self.golden[f"{key}.shape"])
        sample = self.golden[f"{key}.sample"]
        _, std, *_ = stats = self.golden[f"{key}.stats"]
        assert len(sample) > 0 and std > 0
        error = np.abs(take_sample("infer", key, values) - sample).max() / std
        self.note(key, error, tolerance)
        assert error <= tolerance
        assert np.abs(take_statistics(values) - stats).max() <= tolerance * std

    def note(self, stage: str, error: float, tolerance: float) -> None:
        note(self.case.folder, self.case.file, stage, error, tolerance)

    @cached_property
    def batch(self) -> ImageBatch:
        return make_batch([self.inputs["resized"]], self.config.input, self.inputs["im_shape"].tolist())

    @cached_property
    def stages(self) -> list[torch.Tensor]:
        with torch.inference_mode():
            return self.model.backbone(self.batch.pixels)

    @cached_property
    def features(self) -> list[torch.Tensor]:
        with torch.inference_mode():
            return self.stages if self.model.pyramid is None else self.model.pyramid(list(self.stages))

    @cached_property
    def rpn(self) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        with torch.inference_mode():
            return self.model.rpn(self.features)

    @cached_property
    def table(self) -> FeatureTable:
        return self.model.heads.table(self.features)

    def pool(self, boxes: torch.Tensor, side: int) -> torch.Tensor:
        """RoI features `[N C side side]` in the order of the boxes."""
        levels, order = assign_levels(boxes, len(self.model.heads.strides)).sort(stable=True)
        with torch.inference_mode():
            pooled = roi_align(self.table, boxes[order], torch.zeros_like(levels), levels, side, self.case.aligned)
        return pooled[order.argsort()]

    @cached_property
    def stage_boxes(self) -> list[torch.Tensor]:
        """The stored boxes that each box head gets: proposals, and those of a cascade's later stages."""
        later = range(1, len(self.model.heads.stages))
        return [self.read("proposals.boxes"), *(self.read(f"box.stage{place}.rois") for place in later)]

    @cached_property
    def box_outputs(self) -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Embedding, logits and deltas of the stored boxes, by box head. The unaligned fixture pools by its own rule."""
        heads, outputs = self.model.heads, []
        for stage, boxes in zip(heads.stages, self.stage_boxes, strict=True):
            with torch.inference_mode():
                parts = [stage.box_head(self.pool(some, heads.box_side)) for some in boxes.split(heads.chunk)]
                feature = torch.cat(parts)
                outputs.append((feature, *stage.box(feature)))
        return outputs

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """The reference's COCO JSON: mask rows with the box of the same place."""
        with gzip.open(self.case.folder / f"{self.case.file}.json.gz", "rt") as file:
            written = json.load(file)
        return [segm | {"bbox": box["bbox"]} for segm, box in zip(written["segm"], written["bbox"], strict=True)]

    @cached_property
    def photo(self) -> Path:
        image_id = int(self.inputs["image_id"])
        images = json.loads((self.case.folder / "annotations.json").read_text())["images"]
        return self.case.folder / "images" / next(image["file_name"] for image in images if image["id"] == image_id)

    def predictor_at_case_size(self) -> Predictor:
        """The predictor with this case's rule and input size: the small ones are 320 by 533 pixels at most."""
        predictor = copy(self.predictor)
        sides = {} if self.case.photo == "full" else {"short_side": 320, "long_side": 533}
        settings = self.config.input.model_copy(update={"resize": self.rule, **sides})
        predictor.config = self.config.model_copy(update={"input": settings})
        return predictor

    def predict_resized(self) -> Prediction:
        """The prediction for the stored resized pixels, by the predictor's own way from there on."""
        photo = self.predictor_at_case_size().prepare(self.photo)
        resized = replace(photo.resized, pixels=self.inputs["resized"])
        return self.predictor.predict_prepared([replace(photo, resized=resized)])[0]


def pytest_sessionfinish() -> None:
    write_record()
