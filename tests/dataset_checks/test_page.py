"""The page of a check is whole, shows the worst with pictures, and lets nothing of the data speak for itself."""

import re
from html.parser import HTMLParser

import pytest

from faulty_data import make_faulty, make_object, make_sound, rewrite
from maskzoo.dataset_checks.codes import CODES
from maskzoo.dataset_checks.page import MARK, render_page
from maskzoo.dataset_checks.split_checks import check_splits

VOID = {"meta", "image", "polygon", "rect", "br"}


class Reader(HTMLParser):
    """Collects elements, and fails on one that is not closed where it should be."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.open, self.elements, self.words = [], [], []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def find(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    report, contents = check_splits({"train": make_faulty(tmp_path_factory.mktemp("faulty"))[0]})
    page = render_page(report, contents)
    return report, page, Reader(page)


def test_the_page_has_a_summary_and_a_card_for_the_worst(faulty):
    report, page, reader = faulty
    text = " ".join(reader.words)
    assert len(report.count()) > 40
    for code in report.count():
        assert CODES[code].title in text
    assert f"{report.errors} errors" in text and MARK in page
    assert len(reader.find("article")) == 40 + len(report.judgements)
    assert "unnamed" not in text  # what is no problem has no card


def test_pictures_stand_in_the_page_with_the_objects_drawn(faulty):
    _, _, reader = faulty
    pictures = reader.find("image")
    assert len(pictures) > 20
    assert all(picture["href"].startswith("data:image/jpeg;base64,") for picture in pictures)
    assert len(reader.find("polygon")) > 10 and len(reader.find("rect")) > 10
    views = {svg["viewbox"] for svg in reader.find("svg")}
    assert {"0.0 0.0 80.0 60.0", "0.0 0.0 120.0 60.0"} <= views  # the second makes room for a box outside


def test_nothing_is_asked_from_elsewhere(faulty):
    page = faulty[1]
    assert "default-src 'none'" in page
    assert not re.search(r"https?:|//[a-z]|<script|<link|@import|url\(", page)


def test_run_lengths_are_drawn(tmp_path):
    file, data = make_sound(tmp_path)
    data["annotations"][0]["segmentation"] = {"size": [60, 80], "counts": [600, 600, 3600]}
    data["annotations"][2]["segmentation"] = {"size": [60, 80], "counts": [600, 601, 3600]}  # not sound: not drawn
    data["annotations"][4]["segmentation"] = {"size": [10**9, 10**9], "counts": "0"}
    huge = {"size": [20_000, 20_000], "counts": [0, 4 * 10**8]}  # sound, but too much to look at
    data["annotations"][6]["segmentation"] = huge
    reader = Reader(render_page(*check_splits({"train": rewrite(file, data)})))
    assert {polygon["points"] for polygon in reader.find("polygon")} == {"10.00 0.00 20.00 0.00 20.00 60.00 10.00 60.00"}


def test_both_pictures_of_a_pair_are_shown(tmp_path):
    train, _ = make_sound(tmp_path, "train")
    val, _ = make_sound(tmp_path, "val", first=50)
    (tmp_path / "val" / "51.png").write_bytes((tmp_path / "train" / "1.png").read_bytes())
    reader = Reader(render_page(*check_splits({"train": train, "val": val})))
    assert len(reader.find("article")) == 2  # and that splits share images
    assert [svg["aria-label"] for svg in reader.find("svg")] == ["51.png", "1.png"]


def test_what_the_data_say_is_text_only(tmp_path):
    evil = "</td><script>alert(1)</script>\"'\x1b\ud800"
    file, data = make_sound(tmp_path, "train")
    name = '"><script>alert(2)<\x7fb>.png'.replace("/", "")
    (tmp_path / "train" / "1.png").rename(tmp_path / "train" / name)
    data["images"][0]["file_name"] = name
    data["annotations"][0] |= {"bbox": [10, 10, 120, 16], "category_id": evil}
    data["annotations"].append(make_object(77, 1, x=30, bbox=[10, 10, 120, 16], category_id=1))
    data["categories"][1]["name"] = data["categories"][0]["name"] = evil
    page = render_page(*check_splits({"train": rewrite(file, data)}))
    page.encode("utf-8")
    assert "<script" not in page and "\x1b" not in page and "\x7f" not in page
    reader = Reader(page)
    assert "</td><script>alert(1)" in " ".join(reader.words)
    assert any("<script>alert(2)" in svg["aria-label"] for svg in reader.find("svg"))


def test_a_page_without_problems_says_so(tmp_path):
    reader = Reader(render_page(*check_splits({"train": make_sound(tmp_path)[0]})))
    assert "Nothing to complain about" in " ".join(reader.words)
    assert reader.find("article") == reader.find("table") == []
