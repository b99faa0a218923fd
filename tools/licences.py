"""The licences of what comes with maskzoo and its extras, from the metadata of what is installed.

python tools/licences.py > docs/licences.md
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
NO_USERS = {"dev", "docs"}  # extras for those who change maskzoo
# What may stand beside Apache-2.0 in one installation without a duty for its user's own code.
ALLOWED = re.compile(
    r"Apache|BSD|MIT|ISC|PSF|Python Software Foundation|HPND|CMU|Zlib|CC0|Unlicense|BSL-1.0|Boost|MPL|Mozilla|FreeType|LLVM"
)
OF_CUDA = ("nvidia-", "cuda-", "triton")  # packages that torch's builds for CUDA bring
BY_HAND = {"flatbuffers": "Apache-2.0"}  # whose metadata has a text without a name
INTRODUCTION = """# Licences of what comes along

maskzoo is under Apache-2.0. These packages come with it or with one of its extras, by their own metadata
(`python tools/licences.py > docs/licences.md`); a test refuses a licence that would put a duty on your code. Wheels may hold
libraries of others: PyAV's hold x264, under the GPL ([videos](video.md#what-reads-and-writes)); leave the extra `video` out,
or build PyAV against another FFmpeg, where that matters. torch's builds for CUDA bring triton (MIT), and NVIDIA's libraries
under NVIDIA's terms: they are not listed, and the build for CPUs has none. `make dist` writes the list with versions as
CycloneDX: `dist/sbom.json`.

| package | licence |
|---|---|
"""


def list_asked() -> list[Requirement]:
    """Return what maskzoo and its extras ask for by name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"], *(text for extra in extras.keys() - NO_USERS for text in extras[extra])]
    return [Requirement(text) for text in asked if not text.startswith("maskzoo[")]


def walk() -> Iterator[Distribution]:
    """Yield what is installed of the dependencies, and of theirs, each once; extras of dependencies count."""
    waiting = list_asked()
    read: set[tuple[str, str]] = set()
    given: set[str] = set()
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        new = {(name, extra) for extra in ("", *wanted.extras)} - read
        read |= new
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue
        if new and name not in given and not name.startswith(OF_CUDA):
            given.add(name)
            yield found
        needs = [Requirement(text) for text in found.requires or ()]
        waiting += [need for need in needs if any(applies(need, extra) for _, extra in new)]


def applies(need: Requirement, extra: str) -> bool:
    return need.marker is None or need.marker.evaluate({"extra": extra})


def read_licence(package: Distribution) -> str:
    """Return a package's licence: the expression, the classifiers, or the field of old."""
    fields = package.metadata
    classified = [line.rpartition(" :: ")[2] for line in fields.get_all("Classifier") or () if line.startswith("License ::")]
    old = (fields["License"] or "").strip()
    by_hand = BY_HAND.get(fields["Name"].lower())
    return fields["License-Expression"] or by_hand or ", ".join(classified) or (old if len(old) < 60 else "") or "unknown"


def tell_licences() -> dict[str, str]:
    return {package.metadata["Name"].lower(): read_licence(package) for package in walk()}


if __name__ == "__main__":
    rows = "".join(f"| {name} | {licence} |\n" for name, licence in sorted(tell_licences().items()))
    sys.stdout.write(INTRODUCTION + rows)
