"""What the parity tests measured, case by case: benchmarks/results/parity.json, from which docs/parity.md has its tables."""

import json
import os
from pathlib import Path
from typing import Any

_errors: dict[str, dict[str, float]] = {}
_tolerances: dict[str, float] = {}


def note(folder: Path, file: str, stage: str, error: float, tolerance: float) -> None:
    """Keep the largest error of a stage in a file of a golden set, and the tolerance that the test holds it against."""
    stages = _errors.setdefault(f"{folder.name}/{file}", {})
    stages[stage] = max(stages.get(stage, 0.0), float(error))
    _tolerances[stage] = tolerance


def write_record() -> None:
    """Write to the file that MASKZOO_PARITY_REPORT names; what it has of other golden files than were measured stays."""
    if path := os.environ.get("MASKZOO_PARITY_REPORT"):
        record: dict[str, Any] = {"errors": {}, "tolerances": {}}
        if Path(path).exists():
            record = json.loads(Path(path).read_text())
        content = {"errors": record["errors"] | _errors, "tolerances": record["tolerances"] | _tolerances}
        Path(path).write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
