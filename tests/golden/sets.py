"""What each golden set consists of: its photos, its cases and its files."""

from collections.abc import Iterator
from dataclasses import dataclass

SMALL, FULL = (320, 533), (800, 1333)  # what the short and the long side of a photo are resized to, at most

ROWS = {
    "r50_c4": "mask_rcnn_r50_1x_coco",
    "r50_fpn": "mask_rcnn_r50_fpn_1x_coco",
    "r50_vd_fpn": "mask_rcnn_r50_vd_fpn_1x_coco",
    "r101_fpn": "mask_rcnn_r101_fpn_1x_coco",
    "r101_vd_fpn": "mask_rcnn_r101_vd_fpn_1x_coco",
    "x101_vd_64x4d_fpn": "mask_rcnn_x101_vd_64x4d_fpn_1x_coco",
}
MORE = {  # of the same library
    "gn_r50_fpn": "mask_rcnn_r50_fpn_gn_2x_coco",
    "cascade_r50_fpn": "cascade_mask_rcnn_r50_fpn_1x_coco",
    "cascade_r50_vd_fpn": "cascade_mask_rcnn_r50_vd_fpn_ssld_1x_coco",
    "cascade_gn_r50_fpn": "cascade_mask_rcnn_r50_fpn_gn_2x_coco",
    "dcn_r50_fpn": "mask_rcnn_dcn_r50_fpn_1x_coco",
    "dcn_r50_vd_fpn": "mask_rcnn_dcn_r50_vd_fpn_2x_coco",
    "dcn_r101_vd_fpn": "mask_rcnn_dcn_r101_vd_fpn_1x_coco",
    "dcn_x101_vd_64x4d_fpn": "mask_rcnn_dcn_x101_vd_64x4d_fpn_1x_coco",
}
ARCHS = ROWS | MORE
MORE_SCHEDULES = ("cascade_mask_rcnn_r50_vd_fpn_ssld_2x_coco",)  # of networks in MORE


@dataclass(frozen=True)
class Fixture:
    """One inference or training file of a set.

    Its name is `<kind>_<arch>_<case>`; `unaligned` inference files end in `_unaligned` and pool as the reference's newest code
    does, without the half pixel that the published weights were trained with.
    """

    kind: str
    arch: str
    case: str
    unaligned: bool = False

    @property
    def name(self) -> str:
        return f"{self.kind}_{self.arch}_{self.case}" + "_unaligned" * self.unaligned


@dataclass(frozen=True)
class GoldenSet:
    """The weight seed, the photos (COCO image ids) of each case, the seed of units.npz, and the files."""

    weight_seed: str
    unit_seed: int
    infer: dict[str, int]
    train: dict[str, tuple[int, ...]]
    fixtures: tuple[Fixture, ...]

    @property
    def photos(self) -> set[int]:
        return {*self.infer.values(), *(photo for photos in self.train.values() for photo in photos)}

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all files that the reference computes."""
        return "inputs", "units", "empty", *(fixture.name for fixture in self.fixtures)


def target_of(case: str) -> tuple[int, int]:
    """Return the target size of a case."""
    return FULL if case == "full" else SMALL


def levels_of(arch: str) -> tuple[str, ...]:
    """Return the names of the feature maps that the RPN of an architecture reads."""
    return ("c4",) if arch == "r50_c4" else ("p2", "p3", "p4", "p5", "p6")


def _public_inference() -> Iterator[Fixture]:
    for arch in ROWS:
        cases = ("small_a", "full") if arch == "r50_c4" else ("small_a", "small_b", "full")
        yield from (Fixture("infer", arch, case) for case in cases)
    yield Fixture("infer", "r50_fpn", "small_a", unaligned=True)


SETS = {
    "portable": GoldenSet(
        weight_seed="golden-portable-3",
        unit_seed=17,
        infer={"small_a": 1, "small_b": 2},
        train={"one": (3,), "flip": (1,), "pair": (3, 2)},
        fixtures=(
            *(Fixture("infer", arch, "small_a") for arch in ROWS),
            Fixture("infer", "r50_fpn", "small_b"),
            Fixture("train", "r50_c4", "one"),
            Fixture("train", "r50_fpn", "one"),
            Fixture("train", "r50_fpn", "pair"),
            Fixture("train", "r50_vd_fpn", "flip"),
            *(Fixture("infer", arch, "small_a") for arch in MORE),
            Fixture("train", "gn_r50_fpn", "one"),
            Fixture("train", "dcn_r50_fpn", "one"),
            Fixture("train", "cascade_r50_fpn", "pair"),
        ),
    ),
    "public": GoldenSet(
        weight_seed="golden-public-1",
        unit_seed=11,
        infer={"small_a": 161799, "small_b": 196610, "full": 401416},
        train={"one": (184324,), "perm": (184324,), "flip": (360452,), "pair": (161799, 196610)},
        fixtures=(
            *_public_inference(),
            Fixture("train", "r50_c4", "one"),
            *(Fixture("train", "r50_fpn", case) for case in ("one", "perm", "flip", "pair")),
            Fixture("train", "r50_vd_fpn", "one"),
        ),
    ),
}
