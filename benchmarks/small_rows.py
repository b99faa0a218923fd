"""Train the small rows of the zoo on one core, and write what they reach: benchmarks/results/small_rows.json.

    python benchmarks/small_rows.py ROW (shapes | people) [--seconds 60]

Shapes are 200 pictures of `maskzoo demo` and 50 to measure on; people are 170 made-up pictures with people-like outlines, as
many as Penn-Fudan has, 128 to train on. Time is that of the processor.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import torch
from auto_recipe import make_set, train

from maskzoo.demonstration.shapes import make_shapes
from maskzoo.zoo.rows import read_row

RESULTS = Path(__file__).parent / "results" / "small_rows.json"
# A person of height 2, half of the outline: the other half is its mirror image.
PERSON = ((0, -1), (0.1, -0.97), (0.14, -0.86), (0.1, -0.74), (0.27, -0.68), (0.36, -0.1), (0.29, -0.06), (0.2, -0.45))
PERSON += ((0.2, 0.05), (0.24, 0.95), (0.1, 1), (0.06, 0.2), (0, 0.14))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("row")
    parser.add_argument("data", choices=("shapes", "people"))
    parser.add_argument("--seconds", type=float, default=60, help="processor time of the training")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        data, classes = Path(place) / "data", ["person"]
        if options.data == "shapes":
            make_shapes(data, train=200, val=50)
            classes = ["ellipse", "rectangle", "triangle"]
        else:
            make_set(data, classes, 192, paint_people, train=128, val=42)
        config = read_row(options.row).model_copy(update={"classes": dict(enumerate(classes, 1))})
        found = train(config, {"ema": 0.98}, data, options.seconds, Path(place) / "run")
    record = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    record.setdefault(options.row, {})[options.data] = found
    RESULTS.write_text(json.dumps(record, indent=1) + "\n")
    print(options.row, options.data, found, flush=True)


def paint_people(random, side):
    """One to four people, standing, of a third to four fifths of the picture's height."""
    half = np.array(PERSON)
    outline = np.concatenate([half, half[::-1] * (-1, 1)])
    for _ in range(random.integers(1, 5)):
        height = random.uniform(0.33, 0.8) * side
        scale = height / 2 * np.array([random.uniform(0.8, 1.2), 1])
        lean = np.array([[1, 0], [random.normal(0, 0.08), 1]])
        yield 0, outline @ lean * scale + (random.uniform(0.1, 0.9) * side, random.uniform(height / 2, side - height / 2))


if __name__ == "__main__":
    main()
