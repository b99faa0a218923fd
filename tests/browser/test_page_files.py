"""The page's files refer to each other, and to nothing else."""

import re

import pytest

from maskzoo.browser.page_files import KINDS, read_page

SOURCES = ("server", "network")


@pytest.mark.parametrize("source", SOURCES)
def test_every_file_that_the_page_refers_to_is_there_and_nothing_else_is(source):
    found = read_page(source)
    named = {"index.html"}
    for name, content in found.items():
        text = content.decode()
        named |= {link.removeprefix("page/") for link in re.findall(r'(?:href|src)="([^"]+)"', text) if name == "index.html"}
        named |= {link.removeprefix("./") for link in re.findall(r'from "([^"]+)"', text)}
        named |= set(re.findall(r'new URL\("\./(\w+\.js)", import\.meta\.url\)', text))
    assert named == found.keys()
    assert {name.rpartition(".")[2] for name in found} <= KINDS.keys()


@pytest.mark.parametrize("source", SOURCES)
def test_no_file_asks_for_anything_elsewhere(source):
    for name, content in read_page(source).items():
        addresses = set(re.findall(r"\b\w+://[^\s\"'`)]+", content.decode())) - {"http://www.w3.org/2000/svg"}
        assert addresses == set(), name


def test_the_page_has_every_text_in_both_languages_and_no_other():
    files = {name: content.decode() for name, content in read_page("server").items()}
    english, chinese = (
        dict(re.findall(r'^    (\w+): "(.+)",$', part, re.MULTILINE)) for part in files["texts.js"].split("  zh: {")
    )
    assert english.keys() == chinese.keys()
    used = set(re.findall(r'data-(?:text|label)="(\w+)"', files["index.html"]))
    for source, name in (
        ("server", "page.js"),
        ("server", "lists.js"),
        ("server", "predictor.js"),
        ("network", "predictor.js"),
        ("network", "worker.js"),
    ):
        used |= set(re.findall(r'"(\w+)"', read_page(source)[name].decode()))
    assert english.keys() - used == set()
    for key, text in english.items():
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", chinese[key])), key
