"""A brush's run lengths give the mask that was painted, whatever its form, and torn ones are refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brush_runs import encode_brush
from maskzoo.datasets.importers.brush_mask import decode_brush


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    share=st.sampled_from([0, 0.03, 0.5, 1]),
    lengths=st.sampled_from([(3, 4, 8, 16), (1, 2, 3, 4), (2, 4, 8, 9)]),
    literals=st.booleans(),
)
def test_what_was_painted_comes_back(seed, size, share, lengths, literals):
    mask = np.random.default_rng(seed).random(size) < share
    found = decode_brush(encode_brush(mask, lengths, literals), size)
    assert np.array_equal(found, mask * np.uint8(255))


def test_one_small_brush_is_read_as_its_bits_say():
    # 8 values of 8 bits; lengths of 1, 1, 1 and 3 bits; a run of 4 zeros, then 4 values as they are: 1, 2, 3, 200.
    bits = f"{8:032b}{7:05b}" + "0000" * 3 + "0010" + "1" + "11" + "011" + f"{0:08b}" + "0" + "11" + "011"
    bits += "".join(f"{value:08b}" for value in (1, 2, 3, 200))
    bits += "0" * (-len(bits) % 8)
    found = decode_brush([int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)], (1, 2))
    assert found.tolist() == [[0, 200]]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (None, "expected a list of bytes"),
        ([1, 300], "expected a list of bytes"),
        ([1, 2, 3], "has 3 bytes"),
        (encode_brush(np.ones((4, 5))), "has 80 values of 8 bits; expected 120"),
        (encode_brush(np.eye(5, 6))[:-2], "is torn"),
        ([0, 0, 0, 120, 0b00111000, 0, 0, 0b1111_1000 >> 3, *[255] * 40], "is torn"),
    ],
)
def test_what_is_no_brush_of_this_picture_is_refused(values, said):
    with pytest.raises(ValueError, match=said):
        decode_brush(values, (5, 6))
