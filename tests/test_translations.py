"""Every Chinese page says by which English text it was written, and none lags behind."""

import sys

import pytest

from shared_data import ROOT

sys.path.append(str(ROOT / "tools"))
from translations import find_english, lags, list_translations, mark_as_seen

WANTED = {"index", "quickstart", "own-data", "zoo", "migrating", "export", "serve", "faq"}


@pytest.mark.parametrize("page", list_translations(), ids=lambda page: page.name)
def test_a_chinese_page_is_as_new_as_its_english_source(page):
    """Bring its text up to the English one, then: python tools/translations.py --seen PAGE."""
    assert find_english(page).is_file()
    assert not lags(page)
    assert sum("\u4e00" <= letter <= "\u9fff" for letter in page.read_text()) > 200


def test_the_pages_that_a_chinese_reader_begins_with_are_there():
    assert {page.name.partition(".")[0] for page in list_translations()} >= WANTED | {"README"}


def test_a_page_lags_once_its_source_changes(tmp_path):
    english, chinese = tmp_path / "a.md", tmp_path / "a.zh.md"
    english.write_text("one")
    chinese.write_text("一")
    assert lags(chinese)
    mark_as_seen(chinese)
    assert not lags(chinese) and chinese.read_text().endswith("---\n一")
    english.write_text("two")
    assert lags(chinese)
