"""What a preset of augmentations does for a network that learns from few pictures, in the same number of steps.

    python benchmarks/augmentation_trial.py [--preset photo] [--seed 0] [--pictures 40] [--epochs 40]

The network of `maskzoo demo` learns from a few of its pictures, from random weights, by its recipe, with
flips and batches of 4: with `--preset none` by that alone, else with the preset as well. It is measured on 100 other pictures
with the weights of the last epoch. The seed is that of the run; the pictures stay. Each call adds a row to the result's file;
`seconds` are those that the process had a core.
"""

import json
import tempfile
import time
from pathlib import Path

from scripts import make_parser

import maskzoo
from maskzoo.augmentations import PRESETS
from maskzoo.bench.processes import describe_machine, write_result
from maskzoo.demonstration.shapes import make_shapes

NETWORK = Path(maskzoo.__file__).parent / "demonstration" / "shapes.yml"


def main():
    parser = make_parser(__doc__, "augmentation_trial.json")
    parser.add_argument("--seed", type=int, default=0, help="of order, augmentation, samples and first weights")
    parser.add_argument("--pictures", type=int, default=40, help="to train on")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--preset", choices=("none", *PRESETS), default="photo")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        data = Path(place) / "shapes"
        make_shapes(data, train=options.pictures, val=100)
        row = {"preset": options.preset, "seed": options.seed, "pictures": options.pictures, **measure(data, options)}
    print(json.dumps(row))
    before = json.loads(options.out.read_text())["runs"] if options.out.exists() else []
    write_result(options.out, {"runs": [*before, row], "machine": describe_machine()})


def measure(data, options):
    augmentation = "[]" if options.preset == "none" else options.preset
    began = time.process_time()
    overrides = ["run.ema=0.99", f"run.evaluate_every={options.epochs}", f"training.augmentation={augmentation}"]
    settings = {"batch": 4, "workers": 0, "seed": options.seed, "epochs": options.epochs, "device": "cpu"}
    out = data.parent / "run"
    run = maskzoo.train(NETWORK, data, out, source="none", overrides=overrides, **settings)
    seconds = round(time.process_time() - began)
    return {"steps": run.iterations, "seconds": seconds, **{f"{kind}_ap": run.best[kind]["AP"] for kind in ("box", "mask")}}


if __name__ == "__main__":
    main()
