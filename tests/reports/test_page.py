"""The page: whole without the network, well formed, escaped, with the numbers it was given."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from coco_files import disturb, make_data
from grids import detect, find_all, load, make_grid
from maskzoo.datasets.coco_reader import pack_annotations
from maskzoo.errors import MaskzooError
from maskzoo.evaluation.analysis import analyze
from maskzoo.evaluation.metrics import compute_metrics
from maskzoo.evaluation.results import check_results
from maskzoo.reports.page import write_page
from maskzoo.reports.pictures import MISSED, RIGHT, WRONG, make_pictures
from networks import make_photo

NASTY = '<script>alert("x")</script>'
WHOLE = ("meta", "img", "line", "path", "circle", "br")  # elements that need no end, or say so themselves


class Reader(HTMLParser):
    """Reads a page, and notes what is not closed, what refers elsewhere, and texts by element."""

    def __init__(self, text):
        super().__init__()
        self.open, self.links, self.ids, self.texts, self.tags = [], [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.tags.append((tag, given))
        self.links += [given[name] for name in ("src", "href", "srcset", "data", "action") if name in given]
        self.ids += [given["id"]] if "id" in given else []
        if tag not in WHOLE:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))

    def of(self, tag):
        return [text for name, text in self.texts if name == tag]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A data set of six photos, results on it, and what is known of them."""
    folder = tmp_path_factory.mktemp("photos")
    data = make_data(images=6, objects=6)
    data["categories"][1]["name"] = NASTY
    for image in data["images"]:
        Image.fromarray(make_photo(image["height"], image["width"])).save(folder / image["file_name"])
    annotations = pack_annotations(data, "set.json")
    results = check_results(disturb(data), annotations, "rows.json")
    return annotations, results, compute_metrics(annotations, results), analyze(annotations, results), folder


def make_history(steps=1200, each=300):
    terms = ("rpn_class", "rpn_box", "box_class", "box_delta", "mask")
    rows = []
    for step in range(1, steps + 1):
        row = {"kind": "step", "iteration": step, "epoch": 1 + (step - 1) // each, "lr": 0.01}
        if step == 7:
            rows.append(row | {"dropped": True, "in_row": 1})
            continue
        losses = {term: 1 / step + place for place, term in enumerate(terms)}
        rows.append(row | {"loss": sum(losses.values()), **losses, "images_per_second": 3.0})
        if step % each == 0:
            ap = {"mask_ap": 0.1 + step / 1e4, "box_ap": 0.2, "mask_ap50": 0.3, "box_ap50": None}
            rows.append({"kind": "evaluation", "iteration": step, "epoch": step // each, **ap, "best": True})
    return [*rows, {"kind": "note", "text": "done"}, {"kind": "snapshot", "iteration": steps, "file": "a"}]


@pytest.fixture(scope="module")
def page(made, tmp_path_factory):
    annotations, results, evaluation, analysis, folder = made
    path = tmp_path_factory.mktemp("page") / "report.html"
    pictures = make_pictures(annotations, results, analysis, folder, count=2)
    write_page(
        path,
        title=f"{NASTY} on photos",
        facts={"Model": NASTY, "Data": "a & b"},
        history=make_history(),
        annotations=annotations,
        evaluation=evaluation,
        analysis=analysis,
        pictures=pictures,
    )
    return Reader(path.read_text(encoding="utf-8"))


def test_the_page_asks_nothing_of_any_network(page):
    assert all(link.startswith(("#", "data:image/jpeg;base64,")) for link in page.links)
    policy = next(given["content"] for tag, given in page.tags if given.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    style = "".join(page.of("style"))
    assert "url(" not in style and "@import" not in style


def test_links_lead_to_sections_and_ids_stand_once(page):
    assert len(set(page.ids)) == len(page.ids)
    anchors = [link[1:] for link in page.links if link.startswith("#")]
    assert anchors == page.ids and len(anchors) == 10
    numbers = ["Training", "Average precision", "Classes", "Precision and recall", "Confusion"]
    assert page.of("h2") == [*numbers, "Errors", "Scores", "Parts of the data", "Suspected labels", "Images"]


def test_names_cannot_become_part_of_the_page(page):
    assert sum(tag == "script" for tag, _ in page.tags) == 1
    assert page.of("h1") == [f"{NASTY} on photos"] and NASTY in page.of("th") and NASTY in page.of("dd")


def test_all_numbers_of_both_kinds_stand_in_the_tables(page, made):
    evaluation = made[2]
    cells = page.of("td")
    for metrics in (evaluation.box, evaluation.mask):
        for value in metrics.values:
            assert ("-" if value is None else f"{100 * value:.1f}") in cells
        for row in metrics.classes:
            assert f"{100 * row.ap50:.1f}" in cells
    assert [text for text in page.of("b") if re.fullmatch(r"[\d.,]+", text)][:2] == [
        f"{100 * evaluation.mask.ap:.1f}", f"{100 * evaluation.mask.values[1]:.1f}",
    ]  # fmt: skip


def test_the_confusion_table_holds_every_count(page, made):
    counts = made[3].confusion
    start = next(place for place, (tag, given) in enumerate(page.tags) if given.get("class") == "heat")
    cells = [given for tag, given in page.tags[start:] if given.get("style", "").startswith("--share")]
    assert len(cells) == counts.size - 1
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    assert [cell["style"] for cell in cells] == [f"--share:{100 * share:.0f}%" for share in shares.ravel()[:-1]]


def test_every_plot_and_picture_says_what_it_is(page):
    plots = [given for tag, given in page.tags if tag == "svg"]
    assert len(plots) == 12 and all(given["role"] == "img" and len(given["aria-label"]) > 20 for given in plots)
    images = [given for tag, given in page.tags if tag == "img"]
    assert len(images) == 8 and all(given["alt"].startswith(("Truth: ", "Prediction: ")) for given in images)
    for given in images:
        picture = Image.open(io.BytesIO(base64.b64decode(given["src"].partition(",")[2])))
        assert picture.format == "JPEG" and picture.width == 400  # of 80: see LEAST_SIDE
    assert "1 steps had a loss that is not finite and were dropped" in " ".join(page.of("p"))
    assert "best mask AP 22.0 after epoch 4" in page.of("text")


def test_a_page_of_what_there_is_has_no_empty_sections(tmp_path, made):
    annotations, _, evaluation, _, _ = made
    write_page(tmp_path / "a.html", title="t", facts={})
    assert Reader((tmp_path / "a.html").read_text()).of("h2") == []
    write_page(tmp_path / "b.html", title="t", facts={}, history=make_history(3))
    assert Reader((tmp_path / "b.html").read_text()).of("h2") == ["Training"]
    write_page(tmp_path / "c.html", title="t", facts={}, evaluation=evaluation, annotations=annotations)
    assert Reader((tmp_path / "c.html").read_text()).of("h2") == ["Average precision", "Classes"]


def test_errors_scores_parts_and_suspects_stand_on_the_page(page, made):
    analysis = made[3]
    cells, heads, errors = page.of("td"), page.of("th"), analysis.errors
    for kind, count in errors.tide.counts.items():
        assert kind in heads and str(count) in cells and f"{100 * errors.tide.gains[kind]:.1f}" in cells
    for score, f1 in filter(None, analysis.best_scores):
        assert f"{score:.2f}" in cells and f"{100 * f1:.1f}" in cells
    assert {one.name for one in errors.slices} <= set(cells)
    assert heads.count("missing annotation") + heads.count("wrong label") == min(30, len(errors.suspects)) > 0
    assert f"{100 * analysis.boundary.ap:.1f}" in page.of("b")


def test_pictures_tell_right_wrong_and_missed_by_colour(tmp_path):
    data = make_grid(images=1)
    rows = [*find_all(data)[1:], detect(data, data["annotations"][0], shift=15)]
    annotations, results = load(data, rows)
    size = data["images"][0]["height"], data["images"][0]["width"]
    Image.new("RGB", size[::-1]).save(tmp_path / "1.png")
    (picture,) = make_pictures(annotations, results, analyze(annotations, results, threshold=0.5), tmp_path)
    for drawn, first, second in ((picture.truth, MISSED, RIGHT), (picture.prediction, WRONG, RIGHT)):
        shown = np.asarray(Image.open(io.BytesIO(drawn)).resize(size[::-1], Image.Resampling.BOX), int)
        for x, color in ((27, first), (145, second)):
            ratio = shown[25, x] / np.maximum(np.linalg.norm(shown[25, x]), 1)
            assert ratio @ color / np.linalg.norm(color) > 0.98


def test_of_many_classes_those_with_most_errors_are_shown(tmp_path):
    data = make_data(images=20, objects=5, ids=tuple(range(1, 41)))
    annotations = pack_annotations(data, "set.json")
    analysis = analyze(annotations, check_results(disturb(data), annotations, "rows.json"))
    write_page(tmp_path / "a.html", title="t", facts={}, annotations=annotations, analysis=analysis)
    text = (tmp_path / "a.html").read_text()
    assert re.search(r"The 20 of (3\d|40) classes", text) and text[: text.index('id="errors"')].count('scope="row"') == 21


def test_a_photo_that_cannot_be_read_is_said_in_its_place(made, tmp_path):
    annotations, results, _, analysis, _ = made
    Image.fromarray(make_photo(8, 9)).save(tmp_path / "1.png")
    pictures = make_pictures(annotations, results, analysis, tmp_path, count=10)
    assert len(pictures) == 6 and [picture.group for picture in pictures] == ["best"] * 3 + ["worst"] * 3
    errors = {picture.name: picture.error for picture in pictures}
    assert "9 x 8" in errors["1.png"] and "0.png" in errors["0.png"] and all(errors.values())
    parts = {"annotations": annotations, "analysis": analysis, "pictures": pictures}
    write_page(tmp_path / "a.html", title="t", facts={}, **parts)
    assert (tmp_path / "a.html").read_text().count("Cannot be shown") == 6


def test_pictures_are_those_of_best_and_worst_quality_and_show_objects(made):
    annotations, results, _, analysis, folder = made
    pictures = make_pictures(annotations, results, analysis, folder, count=2)
    quality = sorted(analysis.images.quality)
    assert [picture.quality for picture in pictures] == [*quality[:-3:-1], *quality[:2]]
    for picture in pictures:
        photo = Image.open(folder / picture.name).convert("RGB")
        for drawn in (picture.truth, picture.prediction):
            shown = Image.open(io.BytesIO(drawn))
            assert shown.width % photo.width == 0 and 360 <= max(shown.size) <= 720  # labels do not hide a small photo
            enlarged = photo.resize(shown.size, Image.Resampling.NEAREST)
            difference = np.abs(np.asarray(shown, int) - np.asarray(enlarged, int))
            assert (difference > 60).any(axis=2).mean() > 0.05
        assert picture.truth != picture.prediction


def test_a_file_that_cannot_be_written_is_an_error_with_its_name(tmp_path):
    with pytest.raises(MaskzooError, match=r"gone.*report\.html: cannot be written"):
        write_page(tmp_path / "gone" / "report.html", title="t", facts={})
