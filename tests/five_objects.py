"""Five objects in three photos of 160 x 120, as a person draws them: what every importer has to find in its tool's files."""

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 160, 120
OUTLINES = {
    "a1.jpg": [
        ("scratch", [[20, 20], [70, 25], [60, 80], [25, 70]]),
        ("dent", [[90, 30], [140, 30], [140, 90], [90, 90]]),
    ],
    "a2.jpg": [
        ("dent", [[30, 40], [80, 40], [80, 100], [30, 100]]),
        ("scratch", [[100, 20], [150, 60], [105, 70]]),
    ],
    "a3.jpg": [("scratch", [[50, 30], [110, 35], [100, 95], [45, 90]])],
}
TRUTH = [
    ("a1.jpg", "scratch", [20, 20, 50, 60]),
    ("a1.jpg", "dent", [90, 30, 50, 60]),
    ("a2.jpg", "dent", [30, 40, 50, 60]),
    ("a2.jpg", "scratch", [100, 20, 50, 50]),
    ("a3.jpg", "scratch", [45, 30, 65, 65]),
]


def write_pictures(folder, names=OUTLINES, size=(WIDTH, HEIGHT)):
    folder.mkdir(parents=True, exist_ok=True)
    for place, name in enumerate(names):
        Image.fromarray(np.full((size[1], size[0], 3), 40 * place, np.uint8)).save(folder / name)
    return folder


def list_objects(draft):
    """Return file, class and box of each object."""
    return [
        (draft.pictures[row["image_id"] - 1].name, draft.names[row["category_id"] - 1], row["bbox"])
        for row in draft.annotations
    ]
