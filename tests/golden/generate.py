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
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from golden import inference, photos, storage, tables, training, units
from golden.reference import open_reference, read_config
from golden.sets import ARCHS, SETS, GoldenSet

HERE = Path(__file__).parent
ALIKE = 0.15  # deviations by which a file may differ on another processor: what is fair for the worst gradient sample


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
    golden = SETS.get(options.set)
    folder = (options.folder or HERE / (options.set if golden else "")).resolve()
    known = golden.names if golden else tables.NAMES
    if unknown := set(options.files) - set(known):
        parser.error(f"{options.set} has no {', '.join(sorted(unknown))}; it has {', '.join(known)}")
    if golden and options.coco:
        photos.gather(golden, options.coco, folder)
    make_each(partial(_make, options.reference.resolve(), golden, folder, options.check), options.files or known)


def make_each(make: Callable[[str], dict[str, float] | None], names: Iterable[str]) -> None:
    """Make or check files and tell what became of them, then exit.

    Args:
        make: writes the file of a name and returns None, or returns how the stored one differs. Every call is in a process
            of its own, since PaddleDetection has one configuration for each process.
        names: files without their ending.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # sums in another order are other sums
    alike = True
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"), max_tasks_per_child=1) as pool:
        for name, differences in zip(names, pool.map(make, names), strict=True):
            print(f"{name}: {_tell(differences)}", flush=True)
            judged = [value for key, value in (differences or {}).items() if not storage.hangs_on_order(key)]
            alike &= max(judged, default=0.0) <= ALIKE
    sys.exit(not alike)


def make_content(golden: GoldenSet, name: str, checkout: Path, folder: Path) -> storage.Content:
    """Return what the reference computes for a file of a set; `checkout` has its configurations, `folder` the set's photos."""
    if name == "units":
        return storage.Content(units.record_units(golden.unit_seed))
    fixture = next((fixture for fixture in golden.fixtures if fixture.name == name), None)
    config = read_config(checkout, ARCHS[fixture.arch if fixture else "r50_fpn"])
    if fixture is None and name == "inputs":
        return storage.Content(photos.record_inputs(golden, config, folder))
    if fixture is None:
        return storage.Content(table={"r50_fpn": inference.record_nothing_found(golden, config, folder)})
    if fixture.kind == "train":
        return storage.Content(training.record_training(golden, fixture, config, folder))
    return storage.Content(*inference.record_inference(golden, fixture, config, folder))


def _make(checkout: Path, golden: GoldenSet | None, folder: Path, check: bool, name: str) -> dict[str, float] | None:
    open_reference(checkout)
    content = make_content(golden, name, checkout, folder) if golden else tables.make(checkout, name)
    if check:
        return storage.compare(folder / name, content)
    storage.write(folder / name, content)
    return None


def _tell(differences: dict[str, float] | None) -> str:
    if not differences:
        return "written" if differences is None else "identical"
    ordered = [key for key in differences if storage.hangs_on_order(key)]
    worst = sorted(differences.keys() - ordered, key=differences.__getitem__, reverse=True)
    told = ", ".join(f"{key} {differences[key]:.1e}" for key in worst[:3])
    swapped = f"; {len(ordered)} that hang on the proposals' order" if ordered else ""
    return f"{len(worst)} entries differ, the most by (deviations) {told or 'none'}{swapped}"


if __name__ == "__main__":
    main()
