"""What holds for photos of any size on their way in."""

from hypothesis import given, settings
from hypothesis import strategies as st

from maskzoo.data.batching import canvas_size
from maskzoo.data.transforms import find_factors

sides, targets = st.integers(1, 20_000), st.integers(1, 2000)


@settings(deadline=None)
@given(sides, sides, targets, targets, st.sampled_from(["one_factor", "rounded"]))
def test_a_photo_fits_both_targets_and_reaches_one(height, width, short, long, rule):
    factors = find_factors(height, width, short, max(short, long), rule)
    found = tuple(round(factor * side) for factor, side in zip(factors, (height, width), strict=True))
    assert min(found) >= 1
    assert max(found) <= max(short, long)
    assert min(found) <= short
    assert min(found) == short or max(found) == max(short, long)
    assert factors[::-1] == find_factors(width, height, short, max(short, long), rule)


@settings(deadline=None)
@given(sides, sides, st.sampled_from([1, 16, 32]))
def test_a_canvas_holds_its_image_and_less_than_one_multiple_more(height, width, multiple):
    for side, found in zip((height, width), canvas_size(height, width, multiple), strict=True):
        assert found % multiple == 0
        assert 0 <= found - side < multiple
