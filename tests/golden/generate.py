"""Make the golden files anew from a checkout of PaddleDetection, or tell how those that are there differ from new ones.

    python -m golden.generate portable --reference ~/PaddleDetection --check
    python -m golden.generate public infer_r50_fpn_full --reference ~/PaddleDetection --folder ~/public --coco ~/coco
    python -m golden.generate tables --reference ~/PaddleDetection --check

Run it in the folder `tests`; README.md beside this file says what to install. Exits with 1 where a checked file is not alike.
"""

import argparse
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from golden import inference, photos, storage, tables, training, units
from golden.reference import open_reference, read_config
from golden.sets import ROWS, SETS

HERE = Path(__file__).parent
ALIKE = 0.15  # deviations by which a file may differ on another processor: what is fair for the worst gradient sample


@dataclass(frozen=True)
class Job:
    """One file to make, in a process of its own, because the reference has one configuration for each process."""

    checkout: Path
    golden: str
    name: str
    folder: Path
    check: bool


def main() -> None:
    """Read the command line, and make or check file after file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", choices=[*SETS, "tables"], help="a golden set, or the tables that belong to all")
    parser.add_argument("files", nargs="*", help="names of files without their ending; all of the set if none is named")
    parser.add_argument("--reference", type=Path, required=True, metavar="FOLDER", help="the checkout of PaddleDetection")
    parser.add_argument("--folder", type=Path, help="where the set lies; beside this script if not given")
    parser.add_argument("--coco", type=Path, help="gather the set's photos from this COCO 2017 folder first")
    parser.add_argument("--check", action="store_true", help="write nothing, tell how the files differ from new ones")
    options = parser.parse_args()
    folder = (options.folder or (HERE if options.set == "tables" else HERE / options.set)).resolve()
    known = tables.NAMES if options.set == "tables" else SETS[options.set].names
    if unknown := set(options.files) - set(known):
        parser.error(f"{options.set} has no {', '.join(sorted(unknown))}; it has {', '.join(known)}")
    if options.coco:
        photos.gather(SETS[options.set], options.coco, folder)
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # sums in another order are other sums
    jobs = [Job(options.reference.resolve(), options.set, name, folder, options.check) for name in options.files or known]
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1) as pool:
        alike = [_report(job, differences) for job, differences in zip(jobs, pool.map(run, jobs), strict=True)]
    sys.exit(not all(alike))


def run(job: Job) -> dict[str, float]:
    """Make a file, and write it or return how the stored one differs from it."""
    open_reference(job.checkout)
    content = tables.make(job.checkout, job.name) if job.golden == "tables" else _make(job)
    if job.check:
        return storage.compare(job.folder / job.name, content)
    storage.write(job.folder / job.name, content)
    return {}


def _make(job: Job) -> storage.Content:
    golden = SETS[job.golden]
    if job.name == "units":
        return storage.Content(units.record_units(golden.unit_seed))
    fixture = next((fixture for fixture in golden.fixtures if fixture.name == job.name), None)
    config = read_config(job.checkout, ROWS[fixture.arch if fixture else "r50_fpn"])
    if fixture is None and job.name == "inputs":
        return storage.Content(photos.record_inputs(golden, config, job.folder))
    if fixture is None:
        return storage.Content(table={"r50_fpn": inference.record_nothing_found(golden, config, job.folder)})
    if fixture.kind == "train":
        return storage.Content(training.record_training(golden, fixture, config, job.folder))
    return storage.Content(*inference.record_inference(golden, fixture, config, job.folder))


def _report(job: Job, differences: dict[str, float]) -> bool:
    """Print what became of a file; return whether it is alike."""
    if not job.check:
        print(f"{job.name}: written", flush=True)
        return True
    worst = sorted(differences, key=differences.__getitem__, reverse=True)
    told = ", ".join(f"{key} {differences[key]:.1e}" for key in worst[:3])
    print(f"{job.name}: {f'{len(worst)} entries differ, by deviations: {told}' if worst else 'identical'}", flush=True)
    return all(difference <= ALIKE for difference in differences.values())


if __name__ == "__main__":
    main()
