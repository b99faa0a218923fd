"""Letters of any script on pictures: a font of this machine that has them, and which names no font can write."""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

from PIL import Image, ImageDraw, ImageFont, features

from maskzoo.drawing.colours import Color
from maskzoo.errors import ConfigError, list_some

__all__ = ["Line", "can_write", "check_font", "explain_unwritten", "set_text", "write_name"]

Font: TypeAlias = "ImageFont.FreeTypeFont | ImageFont.ImageFont"
VARIABLE = "MASKZOO_FONT"
OWN = ""  # the path that stands for Pillow's own font, which has Latin letters
SUFFIXES = (".ttf", ".otf", ".ttc")
MOST_FONTS = 3000  # that are looked into; a machine with TeX has more, and few scripts that the first lack
TESTED = 16  # pixels: the size at which a font is asked for its letters
BITMAP = 109  # pixels: the one size of colour emoji that are bitmaps
NOWHERE = "\U0010ffff"  # no character: what a font draws for it, it draws for every letter that it does not have
PLAIN = ("bold", "italic", "oblique", "black", "thin", "light", "condensed", "narrow", "mono", "serif", "math")
REORDERED = ((0x0900, 0x0DFF), (0x1000, 0x109F), (0x1780, 0x17FF))  # scripts of India, Burmese, Khmer


@dataclass(frozen=True, slots=True)
class Line:
    """A text in pieces of one font each: the font's file (OWN: Pillow's), and the pixels that a piece is wide."""

    pieces: tuple[tuple[str, str, float], ...]
    size: int

    @property
    def width(self) -> float:
        return sum(width for _, _, width in self.pieces)

    def draw(self, canvas: Image.Image, place: tuple[float, float], ink: Color, anchor: str = "l") -> None:
        """Write it with its left end, middle or right end (`anchor` l, m, r) at x of `place` and its middle at y."""
        draw = ImageDraw.Draw(canvas)
        if len(self.pieces) == 1 and not _is_bitmap(self.pieces[0][1]):
            draw.text(place, self.pieces[0][0], fill=ink, font=_load(self.pieces[0][1], self.size), anchor=f"{anchor}m")
            return
        x, y = place[0] - {"l": 0.0, "m": self.width / 2, "r": self.width}[anchor], place[1]
        ascent, descent = _measure_height(self.size)
        for text, path, width in self.pieces:
            if _is_bitmap(path):
                _paste_bitmap(canvas, text, path, (x, y), width)
            else:
                draw.text((x, y + (ascent - descent) / 2), text, fill=ink, font=_load(path, self.size), anchor="ls")
            x += width


def set_text(text: str, size: int, font: str | Path | None = None) -> Line:
    """Choose a font for each piece of a text: the one given, that of MASKZOO_FONT, Pillow's own, one of this machine.

    Raises ConfigError if the given font cannot be read.
    """
    first, blank = check_font(font), ""
    pieces: list[tuple[str, str]] = []
    for word in re.findall(r"\s+|\S+", text):
        if word.isspace():
            blank = word  # belongs to the piece after it: in one that is read from the right it would stand at the left
            continue
        whole = _find(word, first)
        for part, path in [(word, whole)] if whole is not None else [(letter, _find(letter, first)) for letter in word]:
            if pieces and pieces[-1][1] == (path or OWN):
                pieces[-1] = (pieces[-1][0] + blank + part, pieces[-1][1])
            else:
                pieces.append((blank + part, path or OWN))
            blank = ""
    return Line(tuple((piece, path, _measure_width(piece, path, size)) for piece, path in pieces), size)


def can_write(text: str, font: str | Path | None = None) -> bool:
    """Say whether some font has every letter of a text, and Pillow can join and order them where the script needs it."""
    if _needs_shaping(text) and not features.check("raqm"):
        return False
    first = check_font(font)
    return all(_find(letter, first) is not None for letter in dict.fromkeys(text))


def write_name(name: str, category_id: int, font: str | Path | None = None) -> str:
    """Return a class's name, or `category 3` where no font can write it."""
    return name if can_write(name, font) else f"category {category_id}"


def explain_unwritten(names: Iterable[str], font: str | Path | None = None) -> str | None:
    """Say which names cannot be written on pictures, and what to do; None if all can be."""
    lost = [name for name in dict.fromkeys(names) if not can_write(name, font)]
    if not lost:
        return None
    what = f"{len(lost)} class name{'' if len(lost) == 1 else 's'} cannot be written on pictures: {list_some(lost)}"
    if all(_needs_shaping(name) for name in lost) and not features.check("raqm"):
        reason = "the library FriBiDi, which orders their letters, is missing, so `category` and the id stand there; install it"
    else:
        reason = (
            "no font here has their letters, so `category` and the id stand there; install a font that has them (such as "
            f"Noto), or name its file with --font or {VARIABLE}"
        )
    return f"{what}; {reason}"


def check_font(font: str | Path | None = None) -> str | None:
    """Return the path of the given font, else of MASKZOO_FONT, if either is set. Raises ConfigError if it cannot be read."""
    path = str(font or os.environ.get(VARIABLE) or "")
    if not path:
        return None
    if not Path(path).is_file() or _open(path) is None:
        origin = "--font" if font else VARIABLE
        raise ConfigError(f"{path}: cannot be read as a font; expected a .ttf, .otf or .ttc file ({origin})")
    return path


@lru_cache(maxsize=20_000)
def _find(word: str, first: str | None) -> str | None:
    """Return the first font that has all letters of a word."""
    letters = [letter for letter in dict.fromkeys(word) if not _is_blank(letter)]
    chosen = ([] if first is None else [first]) + [OWN]
    return next((path for path in (*chosen, *_list_fonts()) if all(_has(path, letter) for letter in letters)), None)


@lru_cache(maxsize=1)
def _list_fonts() -> tuple[str, ...]:
    """Return the fonts of this machine, upright ones without serifs first, of these Noto's."""
    files = [path for folder in _list_folders() for path in _walk(folder) if path.suffix.lower() in SUFFIXES]
    ranked = sorted(dict.fromkeys(files), key=_rank)
    return tuple(str(path) for path in ranked if "lastresort" not in path.name.lower())[:MOST_FONTS]


def _rank(path: Path) -> tuple[bool, bool, str]:
    name = path.name.lower()
    return any(word in name.replace("sans", "") for word in PLAIN), not name.startswith("noto"), name


def _list_folders() -> list[Path]:
    home = Path.home()
    if sys.platform == "win32":
        return [Path(r"C:\Windows\Fonts"), home / "AppData/Local/Microsoft/Windows/Fonts"]
    if sys.platform == "darwin":
        return [Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library/Fonts"]
    return [home / ".local/share/fonts", home / ".fonts", Path("/usr/local/share/fonts"), Path("/usr/share/fonts")]


def _walk(folder: Path) -> Iterator[Path]:
    for place, _, names in os.walk(folder):
        yield from (Path(place, name) for name in names)


@lru_cache(maxsize=MOST_FONTS)
def _open(path: str) -> tuple[Font, bytes] | None:
    """Return a font at the size at which it is tested, and what it draws for no letter; None if it cannot be read."""
    basic = ImageFont.Layout.BASIC
    for size in (TESTED, BITMAP):
        try:
            font = ImageFont.load_default(size) if path == OWN else ImageFont.truetype(path, size, layout_engine=basic)
            return font, bytes(font.getmask(NOWHERE))
        except (OSError, ValueError):
            continue
    return None


@lru_cache(maxsize=200_000)
def _has(path: str | None, letter: str) -> bool:
    opened = None if path is None else _open(path)
    if opened is None:
        return False
    mask = bytes(opened[0].getmask(letter))
    return bool(mask) and mask != opened[1]


def _is_blank(letter: str) -> bool:
    """Say whether a character needs no letter: spaces, joiners, and signs that choose between two forms of an emoji."""
    return letter.isspace() or unicodedata.category(letter) == "Cf" or "\ufe00" <= letter <= "\ufe0f"


def _needs_shaping(text: str) -> bool:
    right_to_left = any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in text)
    return right_to_left or any(low <= ord(letter) <= high for letter in text for low, high in REORDERED)


def _is_bitmap(path: str) -> bool:
    opened = _open(path)
    return path != OWN and opened is not None and getattr(opened[0], "size", TESTED) == BITMAP


@lru_cache(maxsize=500)
def _load(path: str, size: int) -> Font:
    if path == OWN:
        return ImageFont.load_default(size)
    return ImageFont.truetype(path, BITMAP if _is_bitmap(path) else size)


def _measure_width(text: str, path: str, size: int) -> float:
    ruler = ImageDraw.Draw(Image.new("L", (1, 1)))
    width = ruler.textlength(text, font=_load(path, size))
    return width * size * 1.1 / BITMAP if _is_bitmap(path) else width


def _measure_height(size: int) -> tuple[int, int]:
    font = _load(OWN, size)
    return font.getmetrics() if isinstance(font, ImageFont.FreeTypeFont) else (size, 0)


def _paste_bitmap(canvas: Image.Image, text: str, path: str, place: tuple[float, float], width: float) -> None:
    """Draw colour emoji at their one size and paste them `width` wide, their middle at y of `place`."""
    font = _load(path, BITMAP)
    x1, y1, x2, y2 = (round(side) for side in ImageDraw.Draw(canvas).textbbox((0, 0), text, font=font))
    picture = Image.new("RGBA", (max(1, x2 - x1), max(1, y2 - y1)))
    ImageDraw.Draw(picture).text((-x1, -y1), text, font=font, embedded_color=True)
    wide = max(1, round(width))
    small = picture.resize((wide, max(1, round(wide * picture.height / picture.width))), Image.Resampling.LANCZOS)
    canvas.paste(small, (round(place[0]), round(place[1] - small.height / 2)), small)
