"""Let `python -m maskzoo` be the command `maskzoo`."""

from maskzoo.cli import main

if __name__ == "__main__":
    main()
