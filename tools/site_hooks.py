"""What MkDocs needs to take pages in that stand at the root of the repository: CONTRIBUTING.md and the like.

Their links to `docs/x.md` become links to `x.md`, and those of the pages to `../CONTRIBUTING.md` the other way round. A link to
a file that is no page becomes its path, since the site does not have it; a page that is called by its file gets its title. On
the Chinese site a page that lags behind its English one says so, and so does one that is there in English alone. A picture
leads to itself, in its full size.
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
ENGLISH_ALONE = '!!! note "本页只有英文版。"\n\n'
HEADING = re.compile(r"^# (.+)$", re.MULTILINE)
PICTURE = re.compile(r'<img [^>]*src="([^"]+)"[^>]*>')
LINK = re.compile(r"\[([^\]]*)\]\((?!https?://|#)([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    for page in TAKEN_IN:
        files.append(File(page, config.docs_dir, config.site_dir, config.use_directory_urls))
    return files


def on_page_read_source(page: Any, **_: Any) -> str | None:
    name = TAKEN_IN.get(page.file.src_uri)
    return LINK.sub(lead_from_root, (ROOT / name).read_text(encoding="utf-8")) if name else None


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    notice = ""
    if page.file.dest_uri.startswith("zh/"):
        source = Path(page.file.abs_src_path)
        notice = ENGLISH_ALONE if not source.name.endswith(".zh.md") else LAGS if lags(source) else ""
    return notice + LINK.sub(lead_out, markdown)


def on_page_content(html: str, **_: Any) -> str:
    return PICTURE.sub(r'<a href="\1">\g<0></a>', html)


def lead_from_root(link: re.Match[str]) -> str:
    """A link of a page at the root as one of a page in docs/."""
    text, target, anchor = link[1], link[2], link[3] or ""
    return f"[{text}]({target.removeprefix('docs/') if target.startswith('docs/') else '../' + target}{anchor})"


def lead_out(link: re.Match[str]) -> str:
    """A link of a page in docs/: to the page that was taken in, or the path alone; a page is called by its title."""
    text, target, anchor = link[1], link[2], link[3] or ""
    name = target.removeprefix("../")
    outside = name != target
    if outside and name not in TAKEN_IN.values():
        return f"`{name}`" if text == name else f"{text} (`{name}`)"
    if text.endswith(".md"):
        text = HEADING.search((ROOT / name if outside else ROOT / "docs" / name).read_text(encoding="utf-8"))[1]
    return f"[{text}]({name.lower() if outside else name}{anchor})"
