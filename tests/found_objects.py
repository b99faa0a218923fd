"""A prediction with objects of random places and shapes, for what takes one."""

import numpy as np

from maskzoo.inference.prediction import make_prediction

CLASSES = {1: "person", 3: "car", 90: "toothbrush"}


def make_found(count=5, size=(60, 90)):
    random = np.random.default_rng(count)
    corners = np.sort(random.uniform(0, 1, (count, 2, 2)), axis=1) * [size[1], size[0]]
    boxes = np.concatenate([corners[:, 0], corners[:, 1] + 1], axis=1).astype(np.float32)
    shapes = random.uniform(0.3, 1, (count, 4, 4)).repeat(4, axis=1).repeat(4, axis=2).astype(np.float32)
    return make_prediction(
        boxes,
        random.uniform(0.1, 1, count).astype(np.float32),
        random.integers(0, 3, count),
        shapes,
        size=size,
        scale=(1.0, 1.0),
        classes=CLASSES,
    )
