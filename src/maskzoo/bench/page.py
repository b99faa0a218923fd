"""What `maskzoo bench` measured as one HTML page: bars of the time for an image, and where it goes. Nothing is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from maskzoo.bench.runner import Measured

__all__ = ["render_page"]

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --faint: #68707a; --ground: #fff; --bar: #3b6fb6; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ed; --faint: #9aa3ad; --ground: #15181c; --bar: #6d9de0; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--ground); max-width: 60rem; margin: 2rem auto;
  padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; } p { color: var(--faint); }
table { border-collapse: collapse; } td, th { padding: .2rem .9rem .2rem 0; text-align: right; }
td:first-child, th:first-child { text-align: left; }
.row { margin: .5rem 0; } .track { display: flex; height: 1.3rem; } .track div { background: var(--bar); }
.key b { font-weight: normal; white-space: nowrap; margin-right: .9rem; }
.key i { display: inline-block; width: .8rem; height: .8rem; margin-right: .3rem; vertical-align: -1px; }
"""
COLOURS = ("#8a8f98", "#3b6fb6", "#8fb4e3", "#d98a2b", "#c2452d", "#edc087", "#7b4fa3", "#3f9a6b", "#a9c94f")


def render_page(result: Mapping[str, Any], rows: Sequence[Measured]) -> str:
    """Return the page of a bench result (what bench.json holds) and its rows."""
    machine = result["machine"]
    where = f"{machine['model']}, {machine['usable']} CPUs, torch {machine['torch']}"
    if machine["gpus"]:
        where += ", " + ", ".join(machine["gpus"])
    done = [row for row in rows if row.done]
    parts = [
        f"<h1>{escape(result['model'])} on this machine</h1>",
        f"<p>{escape(where)}; weights: {escape(result['weights'])}. Settings took turns in processes of their own; "
        "ratios are to the first of a kind.</p>",
        "<h2>Time for an image</h2>",
        *_draw_bars(done),
        _tabulate(done),
    ]
    staged = [row for row in done if row.stages]
    if staged:
        parts += ["<h2>Where it goes</h2>", _draw_key(staged[0].stages or {}), *_draw_stages(staged)]
    left_out = [f"{row.setting}: {row.refused or row.failed}" for row in rows if not row.done]
    left_out += [f"{backend['name']} is absent: {backend['remedy']}" for backend in result["absent"]]
    if left_out:
        parts += ["<h2>Left out</h2><ul>", *(f"<li>{escape(text)}</li>" for text in left_out), "</ul>"]
    head = f'<meta charset="utf-8"><title>{escape(result["model"])}</title><style>{STYLE}</style>'
    return f"<!doctype html><html lang=en><head>{head}</head><body>{''.join(parts)}</body></html>\n"


def _draw_bars(rows: Sequence[Measured]) -> list[str]:
    longest = max((_per_image(row) for row in rows), default=1.0)
    return [
        f'<div class="row">{escape(str(row.setting))}: {_per_image(row) * 1000:,.0f} ms'
        f'<div class="track"><div style="width:{100 * _per_image(row) / longest:.1f}%"></div></div></div>'
        for row in rows
    ]


def _tabulate(rows: Sequence[Measured]) -> str:
    names = ("", "ratio", "median", "p95", "images/s", "memory", "of peak")
    lines = ["<table><tr>", *(f"<th>{name}</th>" for name in names), "</tr>"]
    for row in rows:
        memory = row.memory if row.gpu_memory is None else row.gpu_memory
        cells = (
            f"{row.ratio:.2f}",
            f"{row.median * 1000:,.0f} ms",
            f"{row.p95 * 1000:,.0f} ms",
            f"{row.rate:.2f}",
            "-" if memory is None else f"{memory / 1e6:,.0f} MB",
            "-" if row.share is None else f"{row.share:.0%}",
        )
        lines.append(f"<tr><td>{escape(str(row.setting))}</td>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    return "".join(lines) + "</table>"


def _draw_key(stages: Mapping[str, float]) -> str:
    items = (
        f'<b><i style="background:{colour}"></i>{escape(stage)}</b> '
        for stage, colour in zip(stages, COLOURS, strict=True)
    )
    return f'<p class="key">{"".join(items)}</p>'


def _draw_stages(rows: Sequence[Measured]) -> list[str]:
    longest = max(sum((row.stages or {}).values()) for row in rows)
    drawn = []
    for row in rows:
        pieces = "".join(
            f'<div title="{escape(stage)}: {seconds * 1000:,.0f} ms" '
            f'style="width:{100 * seconds / longest:.2f}%;background:{colour}"></div>'
            for (stage, seconds), colour in zip((row.stages or {}).items(), COLOURS, strict=True)
        )
        drawn.append(f'<div class="row">{escape(str(row.setting))}<div class="track">{pieces}</div></div>')
    return drawn


def _per_image(row: Measured) -> float:
    return row.median / row.setting.batch
