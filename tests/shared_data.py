"""Where test data lies that is not part of the project, and what to do where it is absent."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SHARED = Path(os.environ.get("MASKZOO_SHARED", ROOT.parent / "shared"))


def need_shared(*parts: str) -> Path:
    """Return a path of the shared folder, or skip; with MASKZOO_REQUIRE_SHARED set (in CI) its absence is a failure."""
    path = SHARED.joinpath(*parts)
    if not path.exists():
        _go_without(f"{'/'.join(parts)} of the shared test data is not there (MASKZOO_SHARED)")
    return path


def _go_without(reason: str) -> None:
    if os.environ.get("MASKZOO_REQUIRE_SHARED"):
        pytest.fail(reason)
    pytest.skip(reason)


# Two sets are part of the project; the third is where MASKZOO_GOLDEN says.
PORTABLE = ROOT / "tests" / "golden" / "portable"
ONE_FACTOR = ROOT / "tests" / "golden" / "one_factor"
GOLDEN = Path(os.environ.get("MASKZOO_GOLDEN", SHARED / "golden" / "public"))
GOLDEN_SETS = (PORTABLE, ONE_FACTOR, GOLDEN)


def has_twin(folder: Path) -> bool:
    """Whether a set's C4 cases, minutes of work, stand in the other set as well: then the portable ones are slow tests."""
    return folder == PORTABLE and (GOLDEN / "set.json").exists()


def need_golden(folder: Path) -> Path:
    """Return a golden set's folder, or skip where it is absent."""
    if not (folder / "set.json").exists():
        _go_without(f"there is no golden set in {folder.name} (MASKZOO_GOLDEN)")
    return folder
