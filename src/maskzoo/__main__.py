"""Let `python -m maskzoo` be the command `maskzoo`, which begins here too: Ctrl-C while it is imported is no fault."""

from __future__ import annotations

import sys
from typing import NoReturn

__all__ = ["main"]


def main() -> NoReturn:
    """Run the command line and exit."""
    try:
        from maskzoo.cli import main as run
    except KeyboardInterrupt:
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
