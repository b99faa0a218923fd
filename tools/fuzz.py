"""Fuzzing of the readers of files that are not trusted, guided by what their code covers.

pip install atheris, which is no dependency of maskzoo; then each target of `tests/fuzzed.py` for some seconds:

python tools/fuzz.py [--seconds 30] [--targets yaml,python] [--out crashes]
"""

import argparse
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import atheris

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))


def fuzz_one(target: Any, seconds: int, folder: Path) -> tuple[bool, str]:
    """Fuzz one target in a process of its own; return whether it found nothing, and what it told."""
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    child = os.fork()
    if child == 0:
        told = os.open(folder / "told", os.O_CREAT | os.O_WRONLY)
        os.dup2(told, 1)
        os.dup2(told, 2)
        limits = ["-max_len=6000", "-rss_limit_mb=4096", "-timeout=20", "-seed=26"]
        options = [f"-max_total_time={seconds}", "-print_final_stats=1", f"-artifact_prefix={folder}/found-", str(corpus)]
        atheris.Setup([sys.argv[0], *limits, *options], lambda content: target.try_one(content, folder) and None)
        atheris.Fuzz()
    sound = os.waitpid(child, 0)[1] == 0
    return sound, (folder / "told").read_text(errors="replace")


def main() -> None:
    """Fuzz the targets one after the other, and print how often each was tried."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--targets", default="")
    parser.add_argument("--out", type=Path, default=Path("crashes"), help="where what was found is kept")
    options = parser.parse_args()
    with atheris.instrument_imports(include=["maskzoo", "yaml", "PIL"], enable_loader_override=False):
        from fuzzed import TARGETS

    total, failed = 0, []
    for name in options.targets.split(",") if options.targets else TARGETS:
        with tempfile.TemporaryDirectory() as place:
            sound, told = fuzz_one(TARGETS[name], options.seconds, Path(place))
            runs = int((re.findall(r"number_of_executed_units: *(\d+)", told) or re.findall(r"#(\d+)", told) or [0])[-1])
            covered = (re.findall(r"cov: (\d+)", told) or ["?"])[-1]
            total += runs
            print(f"{name}: {runs:,} runs, {covered} edges{'' if sound else f', FAILED{chr(10)}{told[-3000:]}'}", flush=True)
            if not sound:
                failed.append(name)
                options.out.mkdir(parents=True, exist_ok=True)
                for path in Path(place).glob("found-*"):
                    (options.out / f"{name.replace(' ', '-')}-{path.name}").write_bytes(path.read_bytes())
    print(f"{total:,} runs; failed: {', '.join(failed) or 'none'}")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
