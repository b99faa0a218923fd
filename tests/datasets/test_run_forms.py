"""Run lengths in any notation become COCO's, and what is not known stays."""

import json

import numpy as np
import pytest

from maskzoo.datasets.rle import decode_runs, encode_mask, read_counts, read_runs
from maskzoo.datasets.run_forms import mend_runs

HEIGHT, WIDTH = 8, 12
MASK = np.zeros((HEIGHT, WIDTH), np.uint8)
MASK[2:5, 3:9] = 1
MASK[4, 4] = 0
BBOX = [3, 2, 6, 3]
TEXT = encode_mask(MASK).decode()
COUNTS = read_counts(TEXT.encode()).tolist()
ALONG_ROWS = read_counts(encode_mask(MASK.ravel()[:, None])).tolist()
SIZE = [HEIGHT, WIDTH]
FORMS = {
    "in a list": [{"size": SIZE, "counts": TEXT}],
    "a JSON text": json.dumps({"size": SIZE, "counts": COUNTS}),
    "without a size": {"counts": COUNTS},
    "compressed, without a size": {"counts": TEXT},
    "floats": {"size": SIZE, "counts": [float(count) for count in COUNTS]},
    "a list as a text": {"size": SIZE, "counts": str(COUNTS)},
    "bytes in Python's notation": {"size": SIZE, "counts": str(TEXT.encode())},
    "without the last run": {"size": SIZE, "counts": COUNTS[:-1]},
    "sides exchanged": {"size": SIZE[::-1], "counts": COUNTS},
    "compressed, sides exchanged": {"size": SIZE[::-1], "counts": TEXT},
    "along the rows": {"size": SIZE, "counts": ALONG_ROWS},
    "along the rows, sides exchanged": {"size": SIZE[::-1], "counts": ALONG_ROWS},
}


@pytest.mark.parametrize("form", FORMS)
def test_every_notation_becomes_the_mask(form):
    found = mend_runs(FORMS[form], SIZE, BBOX)
    runs = read_runs(found, SIZE)
    assert isinstance(runs, bytes) and (decode_runs(runs, SIZE) == MASK).all()
    assert mend_runs(found, SIZE, BBOX) is None  # what is right stays


@pytest.mark.parametrize("bbox", [None, BBOX, [0, 0, 5, 5]])
@pytest.mark.parametrize("counts", [TEXT, COUNTS])
def test_what_is_right_stays_whatever_its_box(counts, bbox):
    assert mend_runs({"size": SIZE, "counts": counts}, SIZE, bbox) is None


@pytest.mark.parametrize(
    ("outline", "bbox"),
    [
        ([[1, 2, 3, 4, 5, 6]], BBOX),
        (None, BBOX),
        ({"size": SIZE}, BBOX),
        ({"size": [9, 9], "counts": COUNTS}, BBOX),
        ({"size": SIZE, "counts": COUNTS[:1]}, BBOX),
        ({"size": SIZE, "counts": [*COUNTS, 5]}, BBOX),
        ({"size": SIZE, "counts": [1.5, 94.5]}, BBOX),
        ({"size": SIZE, "counts": "é"}, BBOX),
        ({"size": SIZE[::-1], "counts": COUNTS}, None),  # only the box says how it was meant
        ({"size": SIZE[::-1], "counts": COUNTS}, [0, 0, 1, 1]),
        ([{"size": SIZE, "counts": TEXT}] * 2, BBOX),
    ],
    ids=str,
)
def test_what_is_not_known_is_left(outline, bbox):
    assert mend_runs(outline, SIZE, bbox) is None


def test_a_mask_of_the_size_that_it_says_is_no_fault_of_the_mask():
    turned = read_counts(encode_mask(MASK.T)).tolist()
    assert mend_runs({"size": [WIDTH, HEIGHT], "counts": turned}, SIZE, [2, 3, 3, 6]) is None


def test_an_empty_mask_is_one():
    assert mend_runs({"counts": [HEIGHT * WIDTH]}, SIZE, None) == {"counts": [HEIGHT * WIDTH], "size": SIZE}
