"""What each augmentation costs for a photo of 800 x 1216 with ten objects, on one thread, and how well masks follow pixels.

    python benchmarks/augment.py [--rounds 15]

Every augmentation runs once a round, always (probability 1), by one draw of its strength after another; a preset as it is
drawn, so that most of its list does not happen. Milliseconds are those that the process had a core: medians over the
rounds, of a preset means. For comparison: decoding a photo of this size from JPEG, and resizing it to a short side of 768.

Of those that move or cover objects: each object's mask, painted white on black, goes through the augmentation as a photo,
and its outline as an annotation. What is told is the least IoU of the two, over the rounds, of objects that keep 128 x 128
pixels or more: both are rounded to whole pixels, of which smaller ones have few.
"""

import time
from dataclasses import replace

import cv2
import numpy as np
from scripts import make_parser

from maskzoo.augmentations import PRESETS
from maskzoo.bench.processes import describe_machine, write_result
from maskzoo.datasets.rle import rasterize_polygons
from maskzoo.training.augment import AnnotatedImage, find_box, resize
from maskzoo.training.draws import augment

SIZE = 800, 1216
OBJECTS = 10
LARGE = 128**2  # pixels of an object whose mask is compared
MOVING = ("vertical_flip", "quarter_turn", "rotate", "shear", "cut_out", "mosaic")


def main():
    parser = make_parser(__doc__, "augment.json", rounds=15)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    photo = make_photo(np.random.default_rng(0))
    file = cv2.imencode(".jpg", photo.pixels)[1]
    random = np.random.default_rng(1)
    steps = {
        "decoding a JPEG": lambda: cv2.imdecode(file, cv2.IMREAD_COLOR),
        "resizing": lambda: resize(photo, 768, 1333, "rounded"),
    }
    steps |= {kind: follow(photo, [one], random) for kind, one in list_kinds().items()}
    steps |= {f"preset {name}": follow(photo, entries, random) for name, entries in PRESETS.items()}
    times = {name: [] for name in steps}
    for _ in range(options.rounds):
        for name, step in steps.items():
            for _ in range(5 if name.startswith("preset") else 1):
                began = time.process_time()
                step()
                times[name].append(1000 * (time.process_time() - began))
    cost = {name: round(float((np.mean if "preset" in name else np.median)(values)), 1) for name, values in times.items()}
    agreement = {kind: agree(photo, one, options.rounds) for kind, one in list_kinds().items() if kind in MOVING}
    result = {"milliseconds": cost, "least_mask_iou": agreement, "size": SIZE, "rounds": options.rounds}
    write_result(options.out, result | {"machine": describe_machine()})
    print(options.out.read_text(), end="")


def make_photo(random):
    """Smooth colours with a little noise, and objects of 24 corners on them."""
    coarse = cv2.resize(random.integers(0, 256, (20, 30, 3), np.uint8), SIZE[::-1], interpolation=cv2.INTER_CUBIC)
    pixels = cv2.add(coarse, random.integers(0, 12, coarse.shape, np.uint8))
    outlines = []
    for _ in range(OBJECTS):
        angle = np.arange(24) * 2 * np.pi / 24
        radius = random.uniform(40, 160) * random.uniform(0.8, 1, 24)
        middle = random.uniform((200, 200), (SIZE[1] - 200, SIZE[0] - 200))
        outlines.append([(middle + radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)).ravel()])
    boxes = np.array([find_box(outline) for outline in outlines], np.float32)
    return AnnotatedImage(pixels, boxes, np.zeros(OBJECTS, np.int64), outlines)


def agree(photo, augmentation, rounds):
    """Return the least IoU of an object's outline afterwards and of its mask that was augmented as pixels."""
    least = 1.0
    black = replace(photo, pixels=np.zeros_like(photo.pixels), boxes=photo.boxes[:0], labels=photo.labels[:0], outlines=[])
    for number in range(rounds * OBJECTS):
        place = slice(number % OBJECTS, number % OBJECTS + 1)
        white = np.repeat(rasterize_polygons(photo.outlines[place][0], SIZE)[:, :, None] * np.uint8(255), 3, axis=2)
        one = AnnotatedImage(white, photo.boxes[place], photo.labels[place], photo.outlines[place])
        moved = augment(one, [augmentation], np.random.default_rng(number), lambda: black, (0, 0, 0))
        shown = moved.pixels[:, :, 0] > 127
        if shown.sum() >= LARGE and len(moved.outlines):
            found = rasterize_polygons(moved.outlines[0], moved.size) > 0
            least = min(least, float((found & shown).sum() / (found | shown).sum()))
    return round(least, 4)


def list_kinds():
    """Each kind of augmentation as the last preset has it that has it, with probability 1: the presets use all kinds."""
    kinds = {one.kind: one for entries in PRESETS.values() for one in entries}
    return {kind: one.model_copy(update={"probability": 1.0}) for kind, one in sorted(kinds.items())}


def follow(photo, entries, random):
    return lambda: augment(photo, entries, random, lambda: photo, (124, 116, 104))


if __name__ == "__main__":
    main()
