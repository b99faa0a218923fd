"""Which Chinese pages lag behind the English ones that they were written from.

python tools/translations.py                     the pages that lag (exit code 1 if there are any)
python tools/translations.py --seen PAGE...      their text was brought up to the English one as it is now

A Chinese page `x.zh.md` begins with the SHA-256 of `x.md`, its first twelve digits.
"""

import hashlib
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MARK = re.compile(r"\A---\nenglish: ([0-9a-f]{12})\n---\n")


def list_translations() -> list[Path]:
    return sorted([ROOT / "README.zh.md", *(ROOT / "docs").glob("*.zh.md")])


def find_english(page: Path) -> Path:
    return page.with_name(page.name.replace(".zh.md", ".md"))


def digest(page: Path) -> str:
    return hashlib.sha256(page.read_bytes()).hexdigest()[:12]


def lags(page: Path) -> bool:
    """Whether the English page is another one than when the Chinese one was last brought up to it."""
    mark = MARK.match(page.read_text(encoding="utf-8"))
    return mark is None or mark[1] != digest(find_english(page))


def mark_as_seen(page: Path) -> None:
    text = MARK.sub("", page.read_text(encoding="utf-8"))
    page.write_text(f"---\nenglish: {digest(find_english(page))}\n---\n{text}", encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--seen"]:
        for name in sys.argv[2:]:
            mark_as_seen(Path(name))
    lagging = [page.relative_to(ROOT).as_posix() for page in list_translations() if lags(page)]
    print("\n".join(lagging))
    sys.exit(bool(lagging))
