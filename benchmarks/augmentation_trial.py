"""What a preset of augmentations does for a network that learns from few pictures, at the same number of steps.

    python benchmarks/augmentation_trial.py [--seed 0] [--pictures 40] [--epochs 60] [--preset photo]

The network of examples/shapes.yml learns from a few pictures of examples/shapes.py, from random weights: once by its recipe,
once with the preset, everything else equal (flips and batch 4 of the recipe included). Both are measured on 100 other
pictures with the weights of the last epoch. The seed is that of the run; the pictures stay. Each seed adds a pair of rows
to the result's file; `seconds` are those that the process had a core.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

from scripts import make_parser

import maskzoo
from maskzoo.bench.processes import describe_machine, write_result

EXAMPLES = Path(__file__).parent.parent / "examples"
sys.path.insert(0, str(EXAMPLES))

from shapes import make_data  # noqa: E402


def main():
    parser = make_parser(__doc__, "augmentation_trial.json")
    parser.add_argument("--seed", type=int, default=0, help="of order, augmentation, samples and first weights")
    parser.add_argument("--pictures", type=int, default=40, help="to train on")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--preset", default="photo")
    options = parser.parse_args()
    setting = {"pictures": options.pictures, "epochs": options.epochs}
    rows = []
    with tempfile.TemporaryDirectory() as place:
        data = Path(place) / "shapes"
        make_data(data, train=options.pictures, val=100)
        for preset in ("none", options.preset):
            augmentation = "[]" if preset == "none" else preset
            rows.append({"seed": options.seed, "preset": preset, **setting, **measure(data, augmentation, options)})
            print(json.dumps(rows[-1]), flush=True)
    before = json.loads(options.out.read_text())["runs"] if options.out.exists() else []
    write_result(options.out, {"runs": [*before, *rows], "machine": describe_machine()})


def measure(data, augmentation, options):
    began = time.process_time()
    overrides = ["run.ema=0.99", f"run.evaluate_every={options.epochs}", f"training.augmentation={augmentation}"]
    settings = {"batch": 4, "workers": 0, "seed": options.seed, "epochs": options.epochs, "device": "cpu"}
    out = data.parent / f"run-{augmentation}"
    run = maskzoo.train(EXAMPLES / "shapes.yml", data, out, source="none", overrides=overrides, **settings)
    seconds = round(time.process_time() - began)
    return {"steps": run.iterations, "seconds": seconds, **{f"{kind}_ap": run.best[kind]["AP"] for kind in ("box", "mask")}}


if __name__ == "__main__":
    main()
