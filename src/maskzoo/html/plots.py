"""Line plots as inline SVG, for a page that stands alone.

Own small functions, because a page needs lines, ticks and labels only: a plotting library would be a dependency larger
than all others but torch, and its SVG would neither follow the reader's light or dark colours nor scale with the page.
Colours are CSS classes: `series-1` ... `series-6` and `faint`, which the page's style sheet defines.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

__all__ = ["Axis", "Line", "Mark", "find_ticks", "format_number", "plot_lines", "smooth", "thin_out"]

Doubles = NDArray[np.float64]
RIGHT, TOP, BOTTOM = 16, 12, 44  # pixels around the plot; at the left it depends on the ticks
LABEL, DIGIT = 34, 6.8  # pixels at the left for the label and gaps, and for each character of the longest tick
DOTTED = 40  # a line of at most so many points shows each of them


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis: its label with unit, and its ends where the data should not decide. `percent` writes 0.5 as 50."""

    label: str
    low: float | None = None
    high: float | None = None
    percent: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A line through `x`, `y`; points that are NaN leave a gap. `style` holds CSS classes; faint lines lie below."""

    name: str
    x: Doubles
    y: Doubles
    style: str = "series-1"


@dataclass(frozen=True, slots=True)
class Mark:
    """A vertical line at `x` with a text beside it."""

    x: float
    text: str


def find_ticks(low: float, high: float, number: int = 5) -> list[float]:
    """Return about `number` round values from `low` to `high`: steps of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / number
    power = 10.0 ** math.floor(math.log10(rough))
    step = min((factor * power for factor in (1, 2, 5, 10)), key=lambda one: abs(math.log(one / rough)))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [place * step for place in range(first, last + 1)]


def format_number(value: float) -> str:
    """Return a number as a person writes it: 12,000, 0.25, 5e-05."""
    if value == 0:
        return "0"
    if abs(value) < 1e-3:
        return f"{value:.2g}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def smooth(values: Doubles, span: int) -> Doubles:
    """Return the mean of the `span` values around each; at the ends, of the half that is there."""
    half = span // 2
    sums = np.concatenate([[0.0], np.cumsum(values)])
    places = np.arange(len(values))
    first, last = np.maximum(places - half, 0), np.minimum(places + half + 1, len(values))
    means: Doubles = (sums[last] - sums[first]) / (last - first)
    return means


def thin_out(x: Doubles, y: Doubles, number: int = 500) -> tuple[Doubles, Doubles]:
    """Return at most `number` points, each the mean of equally many in a row."""
    if len(x) <= number:
        return x, y
    parts = zip(np.array_split(x, number), np.array_split(y, number), strict=True)
    means = np.array([(one.mean(), other.mean()) for one, other in parts])
    return means[:, 0], means[:, 1]


def plot_lines(
    lines: Sequence[Line], x: Axis, y: Axis, *, title: str, marks: Sequence[Mark] = (), width: int = 640, height: int = 300
) -> str:
    """Return an SVG of some lines with axes, grid and ticks; `title` is what a screen reader says of it."""
    down = _Scale(y, [line.y for line in lines], height - BOTTOM, TOP, height // 55)
    left = LABEL + DIGIT * max(len(_format_tick(value, y)) for value in (*down.ticks, 0))
    across = _Scale(x, [line.x for line in lines], left, width - RIGHT, width // 90)
    faint = [line for line in lines if "faint" in line.style]
    clear = [line for line in lines if "faint" not in line.style]
    parts = [
        f'<svg class="plot" role="img" viewBox="0 0 {width} {height}" aria-label="{escape(title)}">',
        _draw_grid(across, down, x, y, width, height),
        *(_draw_line(line, across, down) for line in (*faint, *clear)),
        *(_draw_mark(mark, across, height, width) for mark in marks),
        "</svg>",
    ]
    return "".join(parts)


class _Scale:
    """From values to pixels: `first` pixel at the low end, `last` at the high one."""

    def __init__(self, axis: Axis, values: Sequence[Doubles], first: float, last: float, ticks: int) -> None:
        finite = np.concatenate([[], *(one[np.isfinite(one)] for one in values)])
        low = axis.low if axis.low is not None else float(finite.min()) if finite.size else 0.0
        high = axis.high if axis.high is not None else float(finite.max()) if finite.size else 1.0
        if high - low <= 1e-9 * max(abs(high), abs(low), 1e-12):  # one value alone stands in the middle
            room = abs(high) / 2 or 0.5
            low, high = (low if axis.low is not None else low - room), high + room
        self.ticks = find_ticks(low, high, ticks)
        if axis.high is None:  # room above, up to the next tick or a little
            high += 0.04 * (high - low)
        self.low, self.high, self.first, self.last = low, high, first, last

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.first + min(max(share, 0.0), 1.0) * (self.last - self.first)


def _draw_grid(across: _Scale, down: _Scale, x: Axis, y: Axis, width: int, height: int) -> str:
    parts = []
    left, bottom = across.first, height - BOTTOM
    for value in down.ticks:
        place = f"{down(value):.1f}"
        parts.append(f'<line class="grid" x1="{left:.1f}" x2="{width - RIGHT}" y1="{place}" y2="{place}"/>')
        text = _format_tick(value, y)
        parts.append(f'<text class="tick" x="{left - 8:.1f}" y="{place}" dy="0.32em" text-anchor="end">{text}</text>')
    parts.append(f'<line class="axis" x1="{left:.1f}" x2="{width - RIGHT}" y1="{bottom}" y2="{bottom}"/>')
    for value in across.ticks:
        place = f"{across(value):.1f}"
        parts.append(f'<line class="axis" x1="{place}" x2="{place}" y1="{bottom}" y2="{bottom + 4}"/>')
        text = _format_tick(value, x)
        parts.append(f'<text class="tick" x="{place}" y="{bottom + 17}" text-anchor="middle">{text}</text>')
    middle = (left + width - RIGHT) / 2
    parts.append(f'<text class="label" x="{middle:.1f}" y="{height - 6}" text-anchor="middle">{escape(x.label)}</text>')
    turned = f"rotate(-90 14 {(TOP + bottom) / 2})"
    place = f'x="14" y="{(TOP + bottom) / 2}" text-anchor="middle" transform="{turned}"'
    parts.append(f'<text class="label" {place}>{escape(y.label)}</text>')
    return "".join(parts)


def _format_tick(value: float, axis: Axis) -> str:
    return format_number(round(100 * value, 6) if axis.percent else value)


def _draw_line(line: Line, across: _Scale, down: _Scale) -> str:
    pieces: list[str] = []
    dots: list[str] = []
    begun = False
    for x, y in zip(line.x.tolist(), line.y.tolist(), strict=True):
        if not math.isfinite(y):
            begun = False
            continue
        pieces.append(f"{'L' if begun else 'M'}{across(x):.1f} {down(y):.1f}")
        dots.append(f'<circle cx="{across(x):.1f}" cy="{down(y):.1f}" r="2.6"/>')
        begun = True
    dotted = dots if len(dots) <= DOTTED and "faint" not in line.style and "plain" not in line.style else []
    name = f"<title>{escape(line.name)}</title>"
    path = f'<path d="{"".join(pieces)}"/>' if pieces else ""
    return f'<g class="line {line.style}">{name}{path}{"".join(dotted)}</g>'


def _draw_mark(mark: Mark, across: _Scale, height: int, width: int) -> str:
    place = across(mark.x)
    left = place > width * 0.6
    text = f'x="{place + (-6 if left else 6):.1f}" y="{TOP + 12}" text-anchor="{"end" if left else "start"}"'
    line = f'<line class="mark" x1="{place:.1f}" x2="{place:.1f}" y1="{TOP}" y2="{height - BOTTOM}"/>'
    return f'{line}<text class="mark-text" {text}>{escape(mark.text)}</text>'
