"""Judge the names of a data set's image files: whether they all lead nowhere in the same way."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import takewhile

from maskzoo.dataset_checks.annotation_checks import Objects
from maskzoo.dataset_checks.judgement import Judgement
from maskzoo.faults import Fault, Words

__all__ = ["judge_file_names"]

FEWEST, MOST = 2, 0.8  # names, and their share of the images, that make it a matter of the whole
EXAMPLES = 3


def judge_file_names(parts: Mapping[str, Objects], faults: Iterable[Fault]) -> Iterator[Judgement]:
    """Say of each split whose names lead to no file, while one file fits each, what these have in common."""
    wrong: dict[str, list[Fault]] = defaultdict(list)
    for fault in faults:
        if fault.code == "misnamed-image":
            wrong[fault.split].append(fault)
    for split, found in wrong.items():
        images = len(parts[split].sifted.tables["images"])
        if len(found) < FEWEST or len(found) < MOST * images:
            continue
        ways = sorted({str(way) for fault in found for way in _read_way(fault)})
        prefix = _find_prefix([str(fault.found) for fault in found])
        begin = Words("they begin with {}; ", prefix) if len(prefix) > 1 else Words("")
        path = found[0].expected.values[0] if isinstance(found[0].expected, Words) else ""
        evidence = {"wrong": len(found), "images": images, "ways": [Words(way) for way in ways], "begin": begin}
        evidence |= {"name": found[0].found, "path": path}
        yield Judgement("names-otherwise", True, evidence, split, tuple(found[:EXAMPLES]))


def _find_prefix(names: Sequence[str]) -> str:
    first, last = min(names), max(names)  # what these two begin with, all between them do
    return "".join(one for one, _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False)))


def _read_way(fault: Fault) -> list[str | Words]:
    return list(fault.expected.values[1:]) if isinstance(fault.expected, Words) else []
