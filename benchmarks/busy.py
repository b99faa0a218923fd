"""Time maskzoo beside busy loops, as many as the machine has cores, with and without what maskzoo sets for it.

    python benchmarks/busy.py [--cases predict ...] [--rounds 5] [--seconds 2]

`before` is what libraries do by themselves: libgomp and onnxruntime let waiting threads spin; OpenVINO is the same in both.
`now` is what maskzoo sets. A process of each is loaded; then they take turns, idle and busy, in short
phases: these are ratios of one run. A phase in which other programs took more than a quarter of a core is measured again.

The fair share: with as many busy loops as cores, and as many threads, a scheduler that is just gives maskzoo half of the
cores, so half of the speed that it had alone. The figure is the busy speed now, over that half of the idle speed before.
Weights and photos are made by seed. A case is written when it is done, into the file of those measured before.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from itertools import product
from pathlib import Path

from PIL import Image
from scripts import HERE, NO_GPU, make_parser

sys.path.insert(0, str(HERE.parent / "tests"))

from throughput_worker import SMALL

from maskzoo.bench.processes import describe_machine, median_of, take_turns, write_result
from maskzoo.system.waiting import SWITCHES
from maskzoo.weights.checkpoint import write_checkpoint
from networks import FPN, make_photo, small_config, small_network

R50 = ("input.short_side=320", "input.long_side=544")
PHOTOS, SIZE = 4, (320, 480)
DEFAULTS = {"GOMP_SPINCOUNT": "300000"}  # libgomp's where nothing is set
LOOP = "import sys, time\nend = time.monotonic() + 120\nwhile time.monotonic() < end: pass"
SETTLE = 0.2  # seconds until the loops run
OTHERS = 0.25  # cores
TRIES = 3  # of a phase that other programs disturb

CASES = {
    "predict": {"backend": "eager"},
    "predict, several at once": {"backend": "eager", "workers": os.cpu_count()},
    "predict, R50-FPN": {"backend": "eager", "network": "r50"},
    "training step": {"backend": "training"},
    "OpenVINO": {"backend": "openvino"},
    "OpenVINO, R50-FPN": {"backend": "openvino", "network": "r50"},
    "onnxruntime": {"backend": "onnxruntime"},
    "onnxruntime, R50-FPN": {"backend": "onnxruntime", "network": "r50"},
}


def main():
    parser = make_parser(__doc__, "busy.json", rounds=5)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--seconds", type=float, default=2, help="of a phase")
    options = parser.parse_args()
    machine, cases = describe_machine(), {}
    if options.out.exists():
        found = json.loads(options.out.read_text())
        cases = found["cases"] if found["machine"] == machine else {}
    with tempfile.TemporaryDirectory() as folder:
        job = make_inputs(Path(folder))
        for name in options.cases:
            cases[name] = compare(job | CASES[name], options)
            report(name, cases[name])
            told = {case: cases[case] for case in CASES if case in cases}
            result = {"machine": machine, "loops": os.cpu_count(), "cases": told}
            write_result(options.out, result)


def make_inputs(folder):
    """What all cases share, as a job of maskzoo.bench.worker."""
    for network, config in (("small", small_config(FPN, *SMALL)), ("r50", small_config(FPN, *R50))):
        write_checkpoint(folder / f"{network}.safetensors", small_network(config).state_dict(), config, {})
    images = [folder / f"{seed}.png" for seed in range(PHOTOS)]
    for seed, path in enumerate(images):
        Image.fromarray(make_photo(*SIZE, seed)).save(path)
    usual = {"network": "small", "workers": 1, "weights": None, "overrides": [], "dtype": "float32", "batch": 1}
    return usual | {"folder": str(folder), "images": [str(path) for path in images]}


def compare(job, options):
    contenders = {"before": start_worker(job, True), "now": start_worker(job, False)}
    found = time_phases(contenders, options.rounds, options.seconds)
    for worker in contenders.values():
        worker.communicate()
    return found


def time_phases(contenders, rounds, seconds):
    """Speeds of both, idle and busy, in images a second, and what they come to."""
    loops = {"idle": 0, "busy": os.cpu_count()}

    def measure(phase):
        state, name = phase
        return time_phase(contenders[name], loops[state], seconds)

    phases = take_turns(list(product(loops, contenders)), rounds, measure)
    runs = {name: {state: phases[state, name] for state in loops} for name in contenders}
    speeds = {name: {state: median_of(runs[name][state], "speed", 3) for state in loops} for name in contenders}
    idle, fair = speeds["before"]["idle"], speeds["before"]["idle"] / 2
    return {
        **{f"{name}_of_fair_share": round(row["busy"] / fair, 3) for name, row in speeds.items()},
        "idle_loss": round(1 - speeds["now"]["idle"] / idle, 3),
        "images_per_second": speeds,
        "phases": runs,
    }


def start_worker(job, before):
    environment = {name: value for name, value in os.environ.items() if name not in (*SWITCHES, "OMP_NUM_THREADS")}
    environment |= NO_GPU | {"MASKZOO_HOME": f"{job['folder']}/home"} | (DEFAULTS if before else {})
    command = [sys.executable, HERE / "busy_worker.py"]
    worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    job = job | {"model": f"{job['folder']}/{job['network']}.safetensors", "before": before}
    ask(worker, json.dumps(job))
    return worker


def ask(worker, line):
    """Send a line, and return the answer; libraries print as they like before it."""
    worker.stdin.write(line + "\n")
    worker.stdin.flush()
    for answer in worker.stdout:
        if answer.startswith("{"):
            return json.loads(answer)
    return sys.exit(f"a worker ended with {worker.wait()}")


def time_phase(worker, loops, seconds):
    """One phase of a worker beside busy loops; again where other programs disturb it, and then the least disturbed."""
    tries = []
    for _ in range(TRIES):
        with occupy(loops) as pids:
            began, used = time.perf_counter(), read_all_time() - sum(map(read_time, pids))
            found = ask(worker, str(seconds))
            others = read_all_time() - sum(map(read_time, pids)) - used - found["used"]
            tries.append({"speed": found["speed"], "others": round(others / (time.perf_counter() - began), 3)})
        if tries[-1]["others"] <= OTHERS:
            break
    return min(tries, key=lambda one: one["others"])


@contextmanager
def occupy(count):
    """Keep `count` cores busy meanwhile; gives the ids of the processes."""
    loops = [subprocess.Popen([sys.executable, "-c", LOOP]) for _ in range(count)]
    try:
        time.sleep(SETTLE)
        yield [loop.pid for loop in loops]
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def read_all_time():
    """Seconds that the machine's cores worked, or that its host took; 0 where the system does not tell."""
    file = Path("/proc/stat")
    names = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
    times = dict(zip(names, map(int, file.read_text().split()[1:9]), strict=True)) if file.exists() else {}
    return sum(value for name, value in times.items() if name not in ("idle", "iowait")) / os.sysconf("SC_CLK_TCK")


def read_time(pid):
    file = Path(f"/proc/{pid}/stat")
    fields = file.read_text().rpartition(")")[2].split() if file.exists() else ["0"] * 13
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def report(name, case):
    print(f"{name}: {case['now_of_fair_share']} of the fair share (before {case['before_of_fair_share']})")
    print(f"  idle loss {case['idle_loss']}; images/s {case['images_per_second']}", flush=True)


if __name__ == "__main__":
    main()
