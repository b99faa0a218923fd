import numpy as np
import pytest

from maskzoo.images.resize import resize_image, target_size


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((427, 640), (800, 1199)),
        ((640, 427), (1199, 800)),
        ((100, 1000), (133, 1333)),
        ((1, 1), (800, 800)),
        ((1, 5000), (1, 1333)),
    ],
)
def test_the_short_side_reaches_its_target_unless_the_long_one_would_pass_its_own(size, expected):
    assert target_size(*size, 800, 1333) == expected


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (7, 3), (60, 90)])
def test_any_photo_is_resized_to_its_target_with_the_scales_of_each_axis(size):
    image = np.full((*size, 3), 77, np.uint8)
    resized = resize_image(image, 80, 133)
    assert resized.pixels.shape[:2] == target_size(*size, 80, 133)
    assert (resized.pixels == 77).all()
    assert resized.scale == tuple(float(np.float32(new / old)) for new, old in zip(resized.pixels.shape, size, strict=False))
