"""The frame of every HTML page that maskzoo writes: one head, one style sheet, one policy. A page is a Jinja2 template.

Jinja2 comes with torch. Every text is escaped by it; a page stands alone and loads nothing, whatever a name in a data
set may try.
"""

from __future__ import annotations

import base64
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from maskzoo.system.files import write_file
from maskzoo.system.machine import name_own_version

__all__ = ["format_percent", "render_page", "write_page"]


def format_percent(value: float | None) -> str:
    """Return a share as percent with one decimal, a dash for none."""
    return "-" if value is None else f"{100 * value:.1f}"


def render_page(template: str, **values: Any) -> str:
    """Return the text of a page.

    Args:
        template: its file below the package, such as `reports/report.html`; it extends `html/frame.html`.
        values: what the template names; one that is missing is an error.
    """
    text: str = _make_environment().get_template(template).render(values)
    return text


def write_page(path: Path, template: str, **values: Any) -> None:
    """Write a page, whole or not at all. Raises MaskzooError if the file cannot be written."""
    write_file(path, render_page(template, **values).encode("utf-8", "replace"))


@cache
def _make_environment() -> Environment:
    root = Path(str(files("maskzoo")))
    environment = Environment(
        loader=FileSystemLoader(root), autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    environment.filters["percent"] = format_percent
    environment.filters["base64"] = lambda data: base64.b64encode(data).decode("ascii")
    environment.globals["version"] = name_own_version()
    return environment
