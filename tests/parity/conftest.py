"""Every golden set is walked by the real path: rule-made weights, `.pdparams` file, reader, table, packed network."""

import gzip
import json
import os
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from maskzoo.images.batch import make_batch
from maskzoo.inference.prediction import Prediction
from maskzoo.inference.predictor import Predictor
from maskzoo.ops.roi_align import FeatureTable, assign_levels, roi_align
from maskzoo.structures import ImageBatch
from maskzoo.zoo.load import load
from pdparams_files import rule_state, write_pdparams
from shared_data import GOLDEN_SETS, MANIFESTS, has_twin, need_golden

LARGE = ("r101_vd_fpn", "x101_vd_64x4d_fpn")  # their full-size cases are slow

measured: dict[str, dict[str, Any]] = {}


def sample_step(key: str, size: int) -> int:
    """Every how many values of a flattened tensor the golden files keep: about 4096 of them, 2048 or 8192 of some."""
    kept = {"box.head_feat": 8192, "box.logits": 2048, "box.deltas": 2048, "mask.logits_all": 2048}.get(key, 4096)
    return max(1, size // kept) | 1


def row_of(arch: str) -> str:
    return f"mask_rcnn_{'r50' if arch == 'r50_c4' else arch}_1x_coco"


@dataclass(frozen=True)
class Case:
    """One inference fixture: `<folder>/infer_<arch>_<name>.npz`; `name` may end in _unaligned."""

    folder: Path
    arch: str
    name: str

    @property
    def aligned(self) -> bool:
        return not self.name.endswith("_unaligned")

    @property
    def photo(self) -> str:
        return self.name.removesuffix("_unaligned")


def _find_cases() -> list[Any]:
    cases = []
    for folder in GOLDEN_SETS:
        archs = sorted((path.stem for path in MANIFESTS.glob("*.json")), key=len, reverse=True)
        archs = ["r50_c4" if arch == "mask_rcnn_r50_1x_coco" else arch[10:-8] for arch in archs]
        files = sorted(folder.glob("infer_*.npz"))
        if not files:
            absent = Case(folder, "none", "none")
            cases.append(pytest.param(absent, id=f"{folder.name}-absent"))
        for file in files:
            arch = next(arch for arch in archs if file.stem.startswith(f"infer_{arch}_"))
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
    row = row_of(case.arch)
    seed = json.loads((case.folder / "set.json").read_text())["weight_seed"]
    file = folder / f"{row}.pdparams"
    write_pdparams(file, rule_state(json.loads((MANIFESTS / f"{row}.json").read_text()), seed))
    predictor = load(row, file, device="cpu")
    file.unlink()
    return predictor


class Walk:
    """What the golden file says and what the network computes, stage by stage. Later stages start from stored values."""

    def __init__(self, case: Case, predictor: Predictor) -> None:
        self.case, self.predictor, self.model, self.config = case, predictor, predictor.backend.model, predictor.config
        self.golden = dict(np.load(case.folder / f"infer_{case.arch}_{case.name}.npz"))
        inputs = np.load(case.folder / "inputs.npz")
        self.inputs = {key: inputs[f"infer.{case.photo}.{key}"] for key in ("resized", "im_shape", "scale_factor", "image_id")}
        self.levels = ("p2", "p3", "p4", "p5", "p6") if self.config.network.heads == "fpn" else ("c4",)

    def read(self, key: str) -> torch.Tensor:
        return torch.from_numpy(self.golden[key])

    def check(self, key: str, ours: torch.Tensor, tolerance: float) -> None:
        """Compare a summarised tensor: shape, samples, mean, deviation, extremes; errors in units of its deviation."""
        values = ours.detach().float().contiguous().numpy()
        assert values.shape == tuple(self.golden[f"{key}.shape"])
        sample = self.golden[f"{key}.sample"]
        mean, std, size, low, high = self.golden[f"{key}.stats"]
        assert len(sample) > 0 and std > 0
        step = sample_step(key, values.size)
        error = np.abs(values.ravel()[::step] - sample).max() / std
        wide = values.astype(np.float64)
        stats = np.array([wide.mean(), wide.std(), np.abs(wide).mean(), wide.min(), wide.max()])
        self.note(key, error, tolerance)
        assert error <= tolerance
        assert np.abs(stats - [mean, std, size, low, high]).max() <= tolerance * std

    def note(self, stage: str, error: float, tolerance: float) -> None:
        """Keep the largest error of a stage for the report in docs/parity.md."""
        seen = measured.setdefault(self.case.arch, {}).setdefault(stage, {"error": 0.0, "tolerance": tolerance})
        seen["error"] = max(seen["error"], float(error))

    @cached_property
    def batch(self) -> ImageBatch:
        return make_batch([self.inputs["resized"]], self.config.input)

    @cached_property
    def stages(self) -> list[torch.Tensor]:
        with torch.inference_mode():
            return self.model.backbone(self.batch.pixels)

    @cached_property
    def features(self) -> list[torch.Tensor]:
        with torch.inference_mode():
            return self.stages if self.model.pyramid is None else self.model.pyramid(self.stages)

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
    def box_outputs(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Embedding, logits and deltas of the stored proposals. The unaligned fixture pools by its own rule."""
        heads = self.model.heads
        with torch.inference_mode():
            feature = torch.cat(
                [heads.box_head(self.pool(boxes, heads.box_side)) for boxes in self.read("proposals.boxes").split(heads.chunk)]
            )
            return feature, *heads.box(feature)

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """The reference's COCO JSON: mask rows with the box of the same place."""
        with gzip.open(self.case.folder / f"infer_{self.case.arch}_{self.case.name}.json.gz", "rt") as file:
            written = json.load(file)
        return [segm | {"bbox": box["bbox"]} for segm, box in zip(written["segm"], written["bbox"], strict=True)]

    @cached_property
    def photo(self) -> Path:
        image_id = int(self.inputs["image_id"])
        images = json.loads((self.case.folder / "annotations.json").read_text())["images"]
        return self.case.folder / "images" / next(image["file_name"] for image in images if image["id"] == image_id)

    def predictor_at_case_size(self) -> Predictor:
        """The predictor with this case's input size: the small ones are 320 by 533 pixels at most."""
        predictor = copy(self.predictor)
        if self.case.photo != "full":
            settings = self.config.input.model_copy(update={"short_side": 320, "long_side": 533})
            predictor.config = self.config.model_copy(update={"input": settings})
        return predictor

    def predict_resized(self) -> Prediction:
        """The prediction for the stored resized pixels, by the predictor's own way from there on."""
        photo = self.predictor_at_case_size()._read(self.photo)
        resized = replace(photo.resized, pixels=self.inputs["resized"])
        return self.predictor._predict_batch([replace(photo, resized=resized)])[0]


def pytest_sessionfinish() -> None:
    if path := os.environ.get("MASKZOO_PARITY_REPORT"):
        Path(path).write_text(json.dumps(measured, indent=1, sort_keys=True))
