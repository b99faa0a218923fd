"""What every test may rely on: nothing of the user's machine, and no network."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees or fills the user's own weights."""
    monkeypatch.setenv("MASKZOO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MASKZOO_OFFLINE", "1")
