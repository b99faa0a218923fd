"""What MkDocs needs to take pages in that stand at the root of the repository: CONTRIBUTING.md and the like.

Their links to `docs/x.md` become links to `x.md`, and those of the pages to `../CONTRIBUTING.md` the other way round. A link to
a file that is no page becomes its path, since the site does not have it. A Chinese page that lags behind says so.
"""

import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

sys.path.append(str(Path(__file__).parent))
from translations import lags

ROOT = Path(__file__).resolve().parent.parent
TAKEN_IN = {name.lower(): name for name in ("CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "CODE_OF_CONDUCT.md")}
LAGS = '!!! warning "本页落后于英文版。"\n\n'
LINK = re.compile(r"\[([^\]]*)\]\((?!https?://|#)([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    for page in TAKEN_IN:
        files.append(File(page, config.docs_dir, config.site_dir, config.use_directory_urls))
    return files


def on_page_read_source(page: Any, **_: Any) -> str | None:
    name = TAKEN_IN.get(page.file.src_uri)
    return LINK.sub(lead_from_root, (ROOT / name).read_text(encoding="utf-8")) if name else None


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    source = Path(page.file.abs_src_path)
    notice = LAGS if source.name.endswith(".zh.md") and lags(source) else ""
    return notice + LINK.sub(lead_out, markdown)


def lead_from_root(link: re.Match[str]) -> str:
    """A link of a page at the root as one of a page in docs/."""
    text, target, anchor = link[1], link[2], link[3] or ""
    return f"[{text}]({target.removeprefix('docs/') if target.startswith('docs/') else '../' + target}{anchor})"


def lead_out(link: re.Match[str]) -> str:
    """A link out of docs/: to the page that was taken in, or the path alone."""
    text, target, anchor = link[1], link[2], link[3] or ""
    if not target.startswith("../"):
        return link[0]
    name = target.removeprefix("../")
    return f"[{text}]({name.lower()}{anchor})" if name in TAKEN_IN.values() else f"{text} (`{name}`)"
