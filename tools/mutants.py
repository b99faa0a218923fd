"""How many small faults the tests notice: mutants drawn by a seed, each run against the test that mirrors its file.

python tools/mutants.py [--count 150] [--seed 23] [ROOM_OR_FILE...]

Cosmic Ray makes the mutants (`pip install cosmic-ray`): operators, comparisons, numbers, booleans, `break`, loops without a
turn, decorators left out. A place in the source is drawn, then one of its mutants; annotations, which nothing evaluates, are
left out. Each is printed with its end; the exit code is 1 where fewer than 80 % are killed.
"""

import argparse
import ast
import contextlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))
from test_mirror import TESTED_BY

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("ops", "weights", "datasets", "config.py")
LOADED = ("torch", "numpy", "cv2", "PIL.Image", "pydantic", "msgspec", "safetensors", "yaml")  # none that pytest rewrites
LEAST_SECONDS = 60  # before a mutant counts as one that never ends


@dataclass(frozen=True)
class Mutant:
    """A file below src/maskzoo and what is changed in it."""

    file: str
    operator: str
    occurrence: int
    line: int

    def write(self, source: str) -> str:
        changed = mutate_code(source, get_operator(self.operator)(), self.occurrence)
        assert changed is not None and changed != source, self
        return changed

    def tell(self, source: str) -> str:
        before, after = source.splitlines(), self.write(source).splitlines()
        place = next((at for at, (one, other) in enumerate(zip(before, after, strict=False)) if one != other), self.line - 1)
        return f"{self.file}:{place + 1}: {before[place].strip()}  ->  {after[place].strip()}"


def find_places(file: str, source: str) -> dict[tuple[str, int, int], list[Mutant]]:
    """Return the mutants of a file by their place: file, line, column."""
    annotations = list(find_annotations(source))
    places = defaultdict(list)
    tree = get_ast(source)
    for name in operator_names():
        operator = get_operator(name)
        if operator.arguments():
            continue
        found = (place for node in ast_nodes(tree) for place in operator().mutation_positions(node))
        for occurrence, (start, _) in enumerate(found):
            if not any(first <= start < last for first, last in annotations):
                places[file, *start].append(Mutant(file, name, occurrence, start[0]))
    return places


def find_annotations(source: str) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    for node in ast.walk(ast.parse(source)):
        for field in ("annotation", "returns"):
            found = getattr(node, field, None)
            if found is not None:
                yield (found.lineno, found.col_offset), (found.end_lineno, found.end_col_offset)


def name_test(file: str) -> str:
    own = Path(file).parent / f"test_{Path(file).name}"
    return str(own) if (ROOT / "tests" / own).is_file() else TESTED_BY[file]


def run(test: str, copy: Path, seconds: float, keep_bytecode: bool) -> bool:
    """Run a test file on the copy of the source, in a process with the large packages loaded; return whether it passed."""
    child = os.fork()
    if child == 0:
        os.setsid()
        os.chdir(ROOT)
        sys.dont_write_bytecode = not keep_bytecode
        sys.path.insert(0, str(copy))
        os.environ["PYTHONPATH"] = str(copy)
        with contextlib.suppress(BaseException), Path(os.devnull).open("w") as sink:
            os.dup2(sink.fileno(), 1)
            os.dup2(sink.fileno(), 2)
            passed = import_module("pytest").main(["-x", "-q", "-p", "no:cacheprovider", f"tests/{test}"]) == 0
            inside = Path(import_module("maskzoo").__file__).is_relative_to(copy)
            os._exit(0 if passed and inside else 1)
        os._exit(1)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status == 0
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=150)
    parser.add_argument("--seed", type=int, default=23)
    parser.add_argument("rooms", nargs="*", default=ROOMS)
    given = parser.parse_args()
    package = ROOT / "src" / "maskzoo"
    paths = [path for room in given.rooms for path in sorted((package / room).rglob("*.py")) or [package / room]]
    files = [path for path in paths if path.name != "__init__.py"]
    sources = {path.relative_to(package).as_posix(): path.read_text(encoding="utf-8") for path in files}
    places = {place: found for file, source in sources.items() for place, found in find_places(file, source).items()}
    draw = random.Random(given.seed)
    drawn = [draw.choice(places[place]) for place in draw.sample(sorted(places), min(given.count, len(places)))]
    for name in LOADED:
        import_module(name)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "src"
        shutil.copytree(ROOT / "src", copy, ignore=shutil.ignore_patterns("__pycache__"))
        survivors = try_all(drawn, sources, copy)
    killed = len(drawn) - len(survivors)
    print(f"{killed} of {len(drawn)} mutants killed ({killed / len(drawn):.1%}), of {len(places)} places; seed {given.seed}")
    sys.exit(killed < 0.8 * len(drawn))


def try_all(drawn: list[Mutant], sources: dict[str, str], copy: Path) -> list[Mutant]:
    survivors = []
    seconds: dict[str, float] = {}  # of each test on the source as it is
    for number, mutant in enumerate(drawn, 1):
        test = name_test(mutant.file)
        if test not in seconds:
            start = time.monotonic()
            if not run(test, copy, 600, keep_bytecode=True):
                sys.exit(f"tests/{test}: fails on the source as it is")
            seconds[test] = time.monotonic() - start
        source, path = sources[mutant.file], copy / "maskzoo" / mutant.file
        path.write_text(mutant.write(source), encoding="utf-8")
        passed = run(test, copy, LEAST_SECONDS + 10 * seconds[test], keep_bytecode=False)
        survivors += [mutant] * passed
        print(f"{number} {'survived' if passed else 'killed'}: {mutant.tell(source)}", flush=True)
        path.write_text(source, encoding="utf-8")
    return survivors


if __name__ == "__main__":
    main()
