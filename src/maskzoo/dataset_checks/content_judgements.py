"""Judge what is in a data set: its crowds and classes, objects that are dust or rectangles, images that splits share."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskzoo.dataset_checks.annotation_checks import Objects
from maskzoo.dataset_checks.judgement import Judgement
from maskzoo.dataset_checks.whole_set import WholeSet
from maskzoo.datasets.classes import fold_name
from maskzoo.datasets.sifted import Sifted
from maskzoo.faults import Fault, Words

__all__ = ["judge_classes", "judge_crowds", "judge_names", "judge_numbering", "judge_shapes", "judge_shared_images"]

Bools = NDArray[np.bool_]
MANY_CROWDS = 0.1  # of the objects; COCO has 1 %
NEARLY_EVERYTHING, ENOUGH = 0.95, 100  # share of one class, and of how many objects
SPECK, SPECKS_EACH = 16, 20  # pixels at most, and how many in an image
SAMPLE = 1000  # outlines that are looked at one by one
NOT_OBJECTS = frozenset({"background", "bg", "ignore", "ignored", "void", "unlabeled", "unlabelled"})


def judge_crowds(whole: WholeSet) -> Iterator[Judgement]:
    """Say that all objects are crowds, or that many are."""
    crowds, total = int(whole.crowd.sum()), len(whole)
    evidence = {"objects": total, "crowds": crowds, "runs": int((whole.crowd & whole.runs).sum())}
    examples = whole.show(whole.crowd, "iscrowd", 0)
    if total and crowds == total:
        yield Judgement("all-crowds", True, evidence, whole.split, examples)
    elif crowds >= MANY_CROWDS * max(1, total):
        yield Judgement("many-crowds", False, evidence, whole.split, examples)


def judge_classes(whole: WholeSet) -> Iterator[Judgement]:
    """Say that one class holds nearly everything, and which classes hold nothing."""
    counts: Counter[str] = Counter()
    unused: set[str] = set()
    for part in whole.parts:
        counts.update(_count_classes(part.sifted))
        unused.update(_find_supercategories(part.sifted))
    total = counts.total()
    if not total:
        return
    name, most = counts.most_common(1)[0]
    full = {fold_name(one) for one, count in counts.items() if count}
    empty = [one for one, count in counts.items() if not count and fold_name(one) not in full]
    if len(counts) - len(empty) > 1 and total >= ENOUGH and most >= NEARLY_EVERYTHING * total:
        evidence: dict[str, Any] = {"name": name, "objects": most, "total": total, "share": Words(f"{most / total:.1%}")}
        yield Judgement("one-class", False, evidence, whole.split)
    if whole.split or [*judge_numbering(whole)]:
        return  # a class that another split has is no fault of the set, and one that is numbered otherwise has objects
    above = [one for one in empty if one in unused]
    rest = [one for one in empty if one not in unused]
    for code, names in (("unused-supercategory", above), ("empty-classes", rest)):
        if names:
            yield Judgement(code, False, {"names": names, "empty": len(names), "classes": len(counts)})


def judge_numbering(whole: WholeSet) -> Iterator[Judgement]:
    """Say that objects count their categories from 1 and the file from 0, or the other way round."""
    tables = [part.sifted.tables for part in whole.parts]
    known = [{row["id"] for row in _list_numbered(table["categories"], "id")} for table in tables]
    used = Counter(row["category_id"] for table in tables for row in _list_numbered(table["annotations"], "category_id"))
    ids = sorted(known[0])
    if (
        whole.split
        or not ids
        or any(one != known[0] for one in known)
        or ids not in ([*range(len(ids))], [*range(1, len(ids) + 1)])
    ):
        return
    shift = 1 if ids[0] == 0 else -1
    wanted = {number + shift for number in ids}
    beyond = next(iter(wanted - known[0]))  # that no category has
    if beyond in used and used.keys() <= wanted:
        evidence = {"known": ids, "used": sorted(used), "objects": used.total(), "first": ids[0], "start": ids[0] + shift}
        yield Judgement("ids-shifted", used.keys() == wanted, evidence | {"shift": shift})


def _list_numbered(rows: Iterable[Any], field: str) -> list[dict[str, Any]]:
    return [row for row in rows if isinstance(row, dict) and type(row.get(field)) is int]


def _count_classes(sifted: Sifted) -> dict[str, int]:
    packed, rows = sifted.packed, sifted.tables["annotations"]
    if rows:
        used = Counter(row["category_id"] for row in rows if isinstance(row, dict) and type(row.get("category_id")) is int)
        counts = [used[number] for number in packed.classes.ids]
    else:
        counts = np.bincount(packed.labels, minlength=len(packed.classes)).tolist()
    found: Counter[str] = Counter()
    for name, count in zip(packed.classes.names, counts, strict=True):
        found[name] += count
    return found


def _find_supercategories(sifted: Sifted) -> Iterator[str]:
    """Yield names of categories that are the supercategory of others, or say themselves that they have none."""
    rows = [row for row in sifted.tables["categories"] if isinstance(row, dict)]
    above = {row.get("supercategory") for row in rows if row.get("supercategory") != row.get("name")} - {None, ""}
    for row in rows:
        if isinstance(row.get("name"), str) and len(rows) > 1 and (row["name"] in above or row.get("supercategory") == "none"):
            yield row["name"]


def judge_names(whole: WholeSet) -> Iterator[Judgement]:
    """Say which classes have names that are alike, or are no objects."""
    if whole.split:
        return
    alike: dict[str, dict[tuple[str, int], None]] = defaultdict(dict)
    for part in whole.parts:
        for number, name in part.sifted.packed.classes.to_classes().items():
            alike[re.sub(r"[\s_-]+", " ", name).strip().casefold()][name, number] = None
    # Letters that differ in their case only are classes of their own where text is read.
    groups = [names for key, names in alike.items() if len({number for _, number in names}) > 1 and _is_doubtful(key, names)]
    if groups:
        shown = [Words(" and ".join(["{}"] * len(names)), *(name for name, _ in names)) for names in groups]
        yield Judgement("names-alike", False, {"groups": shown, "count": len(groups)})
    others = [name for key, names in alike.items() if key.strip() in NOT_OBJECTS for name in {name for name, _ in names}]
    if others:
        counts: Counter[str] = Counter()
        for part in whole.parts:
            counts.update(_count_classes(part.sifted))
        evidence = {"names": others, "objects": sum(counts[name] for name in others)}
        yield Judgement("background-class", False, evidence)


def _is_doubtful(key: str, names: Iterable[tuple[str, int]]) -> bool:
    return len(key) > 1 or len({name for name, _ in names}) == 1


def judge_shapes(whole: WholeSet) -> Iterator[Judgement]:
    """Say that objects are specks of a soft edge, that outlines are rectangles, or key points."""
    sides = (whole.extent[:, 2:] - whole.extent[:, :2]).clip(1)
    with np.errstate(invalid="ignore"):
        specks = (whole.area <= SPECK) & (whole.area * SPECK < sides.prod(axis=1))  # in one piece, N pixels fill 1/N
    total, images = len(whole), sum(np.count_nonzero(np.diff(part.sifted.packed.first)) for part in whole.parts)
    if total and specks.sum() >= max(SPECKS_EACH * images, total / 2):
        evidence = {"objects": total, "specks": int(specks.sum()), "images": images, "pixels": SPECK}
        yield Judgement("specks", True, evidence, whole.split, whole.show(specks, "segmentation"))
    corners = np.concatenate([_find_rectangles(part) for part in whole.parts])
    outlined = int((~whole.runs).sum())
    if len(corners) >= 20 and len(corners) >= 0.95 * outlined and corners.mean() > 0.5:
        yield Judgement("rotated-rectangles", False, {"objects": outlined, "rectangles": len(corners)}, whole.split)
    elif len(corners) >= 50 and len(corners) == outlined:
        yield Judgement("rectangles", False, {"objects": outlined, "rectangles": len(corners)}, whole.split)
    points = [_count_key_points(part.sifted) for part in whole.parts]
    looked, found = sum(one for one, _ in points), sum(one for _, one in points)
    if found > 1 and found >= 0.8 * looked:
        yield Judgement("key-points", True, {"objects": looked, "points": found}, whole.split)


def _find_rectangles(part: Objects) -> Bools:
    """Return for each outline that is one rectangle whether it is a turned one, bool."""
    packed = part.sifted.packed
    single = np.flatnonzero(np.diff(packed.polygon_first) == 1)
    polygon = packed.polygon_first[:-1][single]
    begin, length = packed.polygons.first[polygon], np.diff(packed.polygons.first)[polygon]
    begin, single = begin[length == 8], single[length == 8]
    points = packed.polygons.values[begin[:, None] + np.arange(8)].reshape(-1, 4, 2)
    first, second = points[:, 2] - points[:, 0], points[:, 3] - points[:, 1]
    middle = np.abs(points[:, 0] + points[:, 2] - points[:, 1] - points[:, 3]).max(axis=1, initial=0)
    diagonals = np.hypot(*first.T), np.hypot(*second.T)
    slack = 0.02 * np.maximum(*diagonals) + 1e-9
    rectangle = (middle <= 2 * slack) & (np.abs(diagonals[0] - diagonals[1]) <= slack)
    box = (part.extent[single, 2:] - part.extent[single, :2]).prod(axis=1)
    return np.asarray(part.area[single][rectangle] < 0.98 * box[rectangle])


def _count_key_points(sifted: Sifted) -> tuple[int, int]:
    """Return how many outlines were looked at, and how many are x y visibility (0, 1 or 2) or stand beside key points alone."""
    packed, rows = sifted.packed, sifted.tables["annotations"]
    missing = [row for row in rows if isinstance(row, dict) and row.get("keypoints") and not row.get("segmentation")]
    step = max(1, len(packed.polygons) // SAMPLE)
    polygons = [packed.polygons[row] for row in range(0, len(packed.polygons), step)]
    found = [len(one) % 3 == 0 and len(one) >= 9 and bool(np.isin(one[2::3], (0, 1, 2)).all()) for one in polygons]
    return len(missing) + len(polygons), len(missing) + sum(found)


def judge_shared_images(parts: Mapping[str, Objects], faults: Iterable[Fault]) -> Iterator[Judgement]:
    """Say how many images of a split are in another one too: the same file, or the same name with the same objects."""
    shared: dict[tuple[str, str], set[int]] = defaultdict(set)
    for fault in faults:
        if fault.code in ("same-image-across", "near-duplicate") and fault.like is not None and fault.image is not None:
            shared[fault.split, fault.like[0]].add(fault.image)
    seen: dict[tuple[bytes, bytes], str] = {}
    for split, part in parts.items():
        packed = part.sifted.packed
        for image in np.flatnonzero(np.diff(packed.first)).tolist():
            boxes = packed.bbox[packed.first[image] : packed.first[image + 1]]
            other = seen.setdefault((packed.file_names[image].tobytes(), boxes.tobytes()), split)
            if other != split:
                shared[split, other].add(int(packed.image_ids[image]))
    for (split, other), images in shared.items():
        evidence = {"shared": len(images), "images": len(parts[split].sifted.packed), "other": Words(other)}
        yield Judgement("shared-images", False, evidence, split)
