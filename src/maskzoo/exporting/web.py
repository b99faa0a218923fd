"""A folder that any static host serves: the page, the network, and the runtime that runs it in the browser."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from pathlib import Path

from maskzoo.browser.page_files import POLICY, read_page
from maskzoo.config import ModelConfig
from maskzoo.errors import ExportError
from maskzoo.system.files import make_folder, write_file

__all__ = ["NETWORK", "PAGE", "write_web"]

PAGE, NETWORK, FACTS = "index.html", "model.onnx", "model.json"


def write_web(folder: Path, config: ModelConfig, runtime: Mapping[str, bytes]) -> None:
    """Write what belongs to the network in `folder`: its facts, the page, and the files of the `runtime`.

    The page comes last, so that a folder which is not whole shows nothing. Raises ExportError.
    """
    files = {f"runtime/{name}": content for name, content in runtime.items()}
    files[FACTS] = json.dumps(_describe(config), ensure_ascii=False, indent=1).encode()
    page = read_page("network")
    text = page.pop(PAGE).decode()
    files |= {f"page/{name}": content for name, content in page.items()}
    for part in ("runtime", "page"):
        make_folder(folder / part, ExportError)
    for name, content in (files | {PAGE: _guard(text).encode()}).items():
        write_file(folder / name, content, ExportError)


def _describe(config: ModelConfig) -> dict[str, object]:
    """Return what the page must know of a network; `classes` are category ids and names by label."""
    limits = config.limits.detections
    return {
        "name": config.name,
        "file": NETWORK,
        "classes": list(config.classes.items()),
        "mask_threshold": limits.mask_threshold,
        "paste": limits.paste,
    }


def _guard(page: str) -> str:
    """Write the policy into the page: a static host sends no header of ours. Frames cannot be forbidden there."""
    policy = POLICY.partition("; frame-ancestors")[0]
    return page.replace(
        "<head>", f'<head>\n    <meta http-equiv="Content-Security-Policy" content="{html.escape(policy)}" />', 1
    )
