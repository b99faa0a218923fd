"""The page's files: the same ones before a server and alone, but for where its results come from."""

from __future__ import annotations

from importlib.resources import files
from typing import Literal

__all__ = ["KINDS", "POLICY", "read_page"]

Source = Literal["server", "network"]
KINDS = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
# Nothing from elsewhere, no script or style in the text of the page, and nobody may put it into a frame.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def read_page(source: Source) -> dict[str, bytes]:
    """Return the page's files by their names: `index.html`, which refers to the others as `page/NAME`.

    `source` says where results come from: "server" is the one that shows the page, "network" a network in the browser.
    """
    found = {}
    for file in files("maskzoo.browser").joinpath("page").iterdir():
        stem, _, rest = file.name.partition(".")
        kind, _, ending = rest.rpartition(".")
        if kind in ("", source):
            found[f"{stem}.{ending}"] = file.read_bytes()
    return found
