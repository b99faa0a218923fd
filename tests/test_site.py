"""The documentation site is built without a warning, takes every page up, and brings all that it shows."""

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest
import yaml

from shared_data import ROOT

pytest.importorskip("mkdocs", reason="the site needs pip install 'maskzoo[docs]'")
TAKEN_IN = {"contributing.md", "changelog.md", "security.md", "code_of_conduct.md"}  # from the root, by tools/site_hooks.py
FETCHED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}


class Elements(HTMLParser):
    """The elements of a page, with their attributes."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
    )
    # A broken link or heading, a page outside the navigation. With --quiet, MkDocs would not count its warnings.
    assert done.returncode == 0, done.stderr
    return folder


def read_navigation(entries):
    for entry in entries:
        for value in entry.values():
            yield from [value] if isinstance(value, str) else read_navigation(value)


def test_every_page_is_in_the_navigation():
    text = (ROOT / "mkdocs.yml").read_text().partition("\nnav:")[2]  # what is before has a tag of Python's
    pages = {page.name for page in (ROOT / "docs").glob("*.md") if not page.name.endswith(".zh.md")}
    assert set(read_navigation(yaml.safe_load(text))) == pages | TAKEN_IN


def test_the_site_has_every_page_in_both_languages(site):
    names = {"404.html", "index.html"} | {
        f"{page.name.partition('.')[0]}/index.html" for page in (ROOT / "docs").glob("*.md") if page.name != "index.md"
    }
    built = {path.relative_to(site).as_posix() for path in site.rglob("*.html")}
    assert {name for name in names if "index.zh" not in name} - {"index/index.html"} <= built
    assert {f"zh/{name}" for name in names} - {"zh/index/index.html", "zh/404.html"} <= built
    assert "/zh/" in (site / "sitemap.xml").read_text() or (site / "zh" / "index.html").is_file()


def test_nothing_is_fetched_from_elsewhere_and_every_picture_says_what_is_on_it(site):
    pictures = 0
    for page in site.rglob("*.html"):
        for tag, attributes in Elements(page.read_text()).found:
            address = attributes.get(FETCHED.get(tag, ""), "") or ""
            assert "://" not in address or attributes.get("rel") in ("canonical", "alternate"), (page, address)
            if tag == "img":
                pictures += 1
                assert (attributes.get("alt") or "").strip(), (page, address)
    assert pictures > 8


def test_the_api_page_has_arguments_and_errors_of_every_function(site):
    page = (site / "api" / "index.html").read_text()
    assert 'id="maskzoo.load"' in page and 'id="maskzoo.train"' in page
    assert "Raises" in page and "Parameters" in page


def test_a_word_inside_a_chinese_sentence_is_found(site):
    separator = json.loads((site / "search" / "search_index.json").read_text())["config"]["separator"]
    assert list(filter(None, re.split(separator, "图片较少时数据增强 on-line"))) == [*"图片较少时数据增强", "on", "line"]


def test_the_navigation_and_what_has_no_chinese_page_say_so_in_chinese(site):
    text = (ROOT / "mkdocs.yml").read_text()
    names = re.findall(r"^ *- ([^:\n]+):", text.partition("\nnav:")[2], re.MULTILINE)
    known = re.findall(
        r"^ {8}([^:\n]+): .", text.partition("nav_translations:")[2].partition("- mkdocstrings")[0], re.MULTILINE
    )
    assert set(names) == set(known) and len(names) > 30
    notice = "本页只有英文版"
    assert notice in (site / "zh" / "training" / "index.html").read_text()
    assert notice not in (site / "zh" / "quickstart" / "index.html").read_text()
    assert notice not in (site / "training" / "index.html").read_text()


def test_no_page_is_called_by_its_file(site):
    pages = {path: path.read_text() for path in site.rglob("*.html")}
    assert sum("Faults, full disks and hostile files</a>" in text for text in pages.values()) == 2  # English and Chinese
    assert [path for path, text in pages.items() if re.search(r"\.md</a>", text)] == []
