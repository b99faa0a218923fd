"""CPU time of a cold `maskzoo predict small.safetensors one.jpg` against `import torch` and the prediction itself.

    python benchmarks/cold_start.py [--rounds 10]

The command and a process that imports torch alone take turns; both are counted from start to end, in seconds of the CPU, which
other programs disturb less than the clock. The prediction itself (reading the photo, the network, drawing, writing) is measured
inside a process that has loaded everything. The goal: at most 1.25 times the sum of both. Weights and photo are made by seed.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from scripts import HERE, NO_GPU, make_parser

sys.path.insert(0, str(HERE.parent / "tests"))

from maskzoo.bench.processes import describe_machine, write_result
from maskzoo.weights.checkpoint import write_checkpoint
from networks import FPN, make_photo, small_config, small_network

GOAL = 1.25
ITSELF = """
import sys, time, maskzoo
predictor = maskzoo.load(sys.argv[1])
start = time.process_time()
maskzoo.predict_folder(predictor, sys.argv[2], sys.argv[3])
print(time.process_time() - start)
"""


def main():
    options = make_parser(__doc__, "cold_start.json", rounds=10).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model, photo, out = Path(folder) / "small.safetensors", Path(folder) / "one.jpg", Path(folder) / "out"
        config = small_config(FPN)
        write_checkpoint(model, small_network(config).state_dict(), config, {"source": "random"})
        Image.fromarray(make_photo(480, 640)).save(photo)
        predict = ["-m", "maskzoo", "predict", model, photo, "--out", out]
        turns = {"predict": predict, "import torch": ["-c", "import torch"], "prediction": ["-c", ITSELF, model, photo, out]}
        seconds = {name: [] for name in turns}
        for number in range(options.rounds + 1):  # the first fills the cache of files
            for name, arguments in turns.items():
                taken, said = run(arguments)
                if number:
                    seconds[name].append(float(said) if name == "prediction" else taken)
            print(f"round {number}/{options.rounds}", file=sys.stderr)
    medians = {name: statistics.median(taken) for name, taken in seconds.items()}
    ratio = medians["predict"] / (medians["import torch"] + medians["prediction"])
    result = {"ratio": round(ratio, 3), "goal": GOAL, "medians": medians, "cpu_seconds": seconds}
    write_result(options.out, {"machine": describe_machine()} | result)
    print(json.dumps({"ratio": result["ratio"], "medians": medians}))


def run(arguments):
    """CPU seconds of a Python process, its start and end with it, and what it printed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | NO_GPU)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


if __name__ == "__main__":
    main()
