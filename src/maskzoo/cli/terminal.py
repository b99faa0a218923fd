"""What a person and what a script gets to see: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from rich.console import Console
from rich.text import Text

__all__ = ["open_stderr", "open_stdout", "print_error", "print_json"]

PIPE_WIDTH = 120  # a file or a pipe has no width: room enough for every column of every table


def open_stdout() -> Console:
    """Return the console of the results. Colours only on a terminal, none where NO_COLOR is set."""
    return _open(sys.stdout.isatty(), stderr=False)


def open_stderr() -> Console:
    """Return the console of progress and complaints."""
    return _open(sys.stderr.isatty(), stderr=True)


def _open(terminal: bool, stderr: bool) -> Console:
    width = None if terminal or "COLUMNS" in os.environ else PIPE_WIDTH
    return Console(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)


def print_error(error: Exception) -> None:
    """Print one block; long lines are left to the terminal to wrap, so that a path can be copied."""
    open_stderr().print(Text.assemble(("Error: ", "bold red"), str(error)), soft_wrap=True)


def print_json(value: Any) -> None:
    """Print one line of ASCII JSON; a number that is not finite would be no JSON and raises ValueError."""
    sys.stdout.write(json.dumps(value, allow_nan=False) + "\n")
