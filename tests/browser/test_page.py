"""What a person does on the page before a server, in a real browser."""

import io
import json
import zipfile

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import expect

from browsers import PHONE, browsing, drop, save, set_score, visiting
from maskzoo.datasets.rle import rasterize_polygons
from networks import make_photo, small_predictor
from servers import encode, running, some_photo

TOKEN = "a-token-of-some-length"
RENAMED = ("classes={1: person, 3: car, 7: train, 18: cat, 90: toothbrush}",)
PHOTO = some_photo(120, 160)


@pytest.fixture(scope="module")
def browser():
    with browsing() as browser:
        yield browser


@pytest.fixture(scope="module")
def server(browser):
    with running({"small": small_predictor()}) as server:
        yield server


@pytest.fixture
def page(browser, server):
    """The page with one photo, everything on it shown."""
    with visiting(browser, server.address, accept_downloads=True) as page:
        drop(page, street_png=PHOTO)
        set_score(page, 0.05)
        expect(page.locator("#status")).to_contain_text("objects found")
        yield page


@pytest.fixture(scope="module")
def expected():
    found = small_predictor().predict(PHOTO, score=0.05)
    return found[(-found.scores).argsort(kind="stable")]


def rows(page):
    return page.locator("#objects button")


def read_saved(page, button):
    return json.loads(save(page, button)[1])


def test_a_dropped_photo_has_the_objects_that_the_predictor_finds(page, expected):
    assert len(set(expected.names)) > 1
    shown = [text.split("\n") for text in rows(page).all_inner_texts()]
    assert [row[0] for row in shown] == list(expected.names)
    assert [int(row[1].rstrip("%")) for row in shown] == pytest.approx(100 * expected.scores, abs=0.51)


def test_the_masks_are_drawn_where_the_objects_are(page, expected):
    assert wait_for_colours(page, 100) > 100
    for part in ("masks", "labels"):
        page.click(f"#show-{part}")
    expect(page.locator("#show-masks")).to_have_attribute("aria-pressed", "false")
    page.wait_for_timeout(100)
    without = count_colours(page)
    page.click("#show-boxes")
    assert wait_for_colours(page, without) > without


def wait_for_colours(page, least):
    """Wait, 10 seconds at most, until more than `least` pixels have the first object's colour: masks come bit by bit."""
    for _ in range(100):
        if (found := count_colours(page)) > least:
            break
        page.wait_for_timeout(100)
    return found


def count_colours(page):
    """How many pixels of the canvas have the colour of the first object, unmixed."""
    return page.evaluate(
        """async () => {
            const { pickColour } = await import("/page/colours.js");
            const canvas = document.getElementById("canvas");
            const read = (context, width, height) => context.getImageData(0, 0, width, height).data;
            const probe = new OffscreenCanvas(1, 1).getContext("2d");
            probe.fillStyle = pickColour(0);
            probe.fillRect(0, 0, 1, 1);
            const [wanted, found] = [read(probe, 1, 1), read(canvas.getContext("2d"), canvas.width, canvas.height)];
            let count = 0;
            for (let at = 0; at < found.length; at += 4) {
                count += [0, 1, 2].every((part) => Math.abs(found[at + part] - wanted[part]) < 3);
            }
            return count;
        }"""
    )


def test_the_slider_and_the_classes_filter_without_another_request(page, expected):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    least = float(np.median(expected.scores))
    set_score(page, least)
    left = [name for name, score in zip(expected.names, expected.scores, strict=True) if score >= round(least, 2)]
    expect(rows(page)).to_have_count(len(left))
    page.click(f"#class-list button:has-text('{left[0]}')")
    expect(rows(page)).to_have_count(len(left) - left.count(left[0]))
    page.click("#no-classes")
    expect(page.locator("#empty-list")).to_contain_text("filtered out")
    page.click("#all-classes")
    expect(rows(page)).to_have_count(len(left))
    assert asked == []


def test_pointing_at_an_object_marks_it_in_the_list_and_the_other_way_round(page):
    rows(page).nth(2).hover()
    expect(rows(page).nth(2)).to_have_class("hovered")
    page.mouse.move(0, 0)
    expect(page.locator("#objects .hovered")).to_have_count(0)
    place = page.evaluate(
        """() => { const box = document.getElementById("canvas").getBoundingClientRect();
                   return [box.x + box.width / 2, box.y + box.height / 2]; }"""
    )
    for step in range(-20, 20):
        page.mouse.move(place[0] + 8 * step, place[1] + 4 * step)
        if page.locator("#objects .hovered").count():
            break
    assert page.locator("#objects .hovered").count() == 1
    page.mouse.down()
    page.mouse.up()
    expect(page.locator("#objects .hovered")).to_have_attribute("aria-pressed", "true")


def test_everything_works_by_keys(page):
    rows(page).first.focus()
    page.keyboard.press("ArrowDown")
    expect(rows(page).nth(1)).to_be_focused()
    page.keyboard.press("End")
    expect(rows(page).last).to_be_focused()
    page.keyboard.press("Enter")
    expect(rows(page).last).to_have_attribute("aria-pressed", "true")
    page.focus("#canvas")
    before = page.locator("#canvas").screenshot()
    for key in ("+", "+", "ArrowLeft"):
        page.keyboard.press(key)
    expect(page.locator("#canvas")).to_have_class("zoomed")
    assert page.locator("#canvas").screenshot() != before
    page.keyboard.press("0")
    expect(page.locator("#canvas")).not_to_have_class("zoomed")


def test_the_saved_coco_file_has_the_predictors_masks(page, expected):
    name, content = save(page, "#save-coco")
    saved = json.loads(content)
    assert name == "coco.json" and saved["images"] == [{"id": 1, "file_name": "street.png", "width": 160, "height": 120}]
    assert {row["id"]: row["name"] for row in saved["categories"]} == dict(
        zip(expected.category_ids.tolist(), expected.names, strict=True)
    )
    assert [row["segmentation"] for row in saved["annotations"]] == expected.masks.rle()
    assert [row["area"] for row in saved["annotations"]] == expected.masks.area().tolist()
    boxes = expected.boxes.astype(np.float64)
    assert np.allclose([row["bbox"] for row in saved["annotations"]], np.c_[boxes[:, :2], boxes[:, 2:] - boxes[:, :2]])


def test_the_outlines_for_labelme_have_exactly_the_masks_pixels(page, expected):
    saved = read_saved(page, "#save-labelme")
    assert saved["imagePath"] == "street.png" and (saved["imageHeight"], saved["imageWidth"]) == (120, 160)
    parts = {}
    for number, shape in enumerate(saved["shapes"]):
        key = shape["group_id"] or f"alone {number}"
        parts.setdefault(key, []).append(np.array(shape["points"]).ravel().tolist())
    drawn = [rasterize_polygons(rings, (120, 160)) > 0 for rings in parts.values()]
    whole = [mask for mask in expected.masks.dense() if mask.any()]
    assert len(drawn) == len(whole) and all(map(np.array_equal, drawn, whole))


def test_holes_and_parts_of_any_mask_reach_labelme(page):
    """Holes in holes, parts that touch at a corner, one-pixel frames, noise: also where LabelMe itself would draw them."""
    random = np.random.default_rng(0)
    masks = [random.random((12, 15)) < share for share in (0.3, 0.5, 0.7, 0.9) for _ in range(25)]
    nested = np.zeros((12, 15), np.bool_)
    for ring in range(0, 6, 2):
        nested[ring : 12 - ring, ring : 15 - ring] = True
        nested[ring + 1 : 11 - ring, ring + 1 : 14 - ring] = False
    masks = [*masks, nested, ~nested]
    found = page.evaluate(
        """async (masks) => {
            const { cutHoles, traceRings } = await import("./page/masks.js");
            const frame = { x: 2, y: 1, width: 15, height: 12 };
            return masks.map((bits) => cutHoles(traceRings({ ...frame, bits: Uint8Array.from(bits) })));
        }""",
        [mask.ravel().astype(int).tolist() for mask in masks],
    )
    for mask, outlines in zip(masks, found, strict=True):
        drawn = rasterize_polygons([np.ravel(points).tolist() for points in outlines], (14, 18)) > 0
        assert np.array_equal(drawn, np.pad(mask, ((1, 1), (2, 1))))


def test_cut_outs_are_transparent_around_the_objects(page, expected):
    name, content = save(page, "#save-cutouts")
    archive = zipfile.ZipFile(io.BytesIO(content))
    assert name == "street-cutouts.zip" and archive.testzip() is None
    seen = [index for index in range(len(expected)) if expected.masks.area()[index]]
    assert len(archive.namelist()) == len(seen)
    for index, entry in zip(seen, archive.namelist(), strict=True):
        assert entry == f"street-{index + 1}-{expected.names[index]}.png"
        mask, (left, top) = expected.masks.crop(index)
        pixels = np.array(Image.open(io.BytesIO(archive.read(entry))))
        assert np.array_equal(pixels[..., 3] > 0, mask)
        photo = np.array(Image.open(io.BytesIO(PHOTO)).convert("RGB"))[top:, left:][: len(mask), : mask.shape[1]]
        assert np.array_equal(pixels[..., :3][mask], photo[mask])
    rows(page).first.click()
    assert save(page, "#save-cutouts")[0] == f"street-1-{expected.names[0]}.png"


def test_the_picture_is_the_photo_with_its_objects(page):
    name, content = save(page, "#save-picture")
    picture = np.array(Image.open(io.BytesIO(content)).convert("RGB"))
    photo = np.array(Image.open(io.BytesIO(PHOTO)).convert("RGB"))
    assert name == "street-objects.png" and picture.shape == photo.shape
    assert 0.02 < (picture != photo).any(axis=2).mean() < 1


def test_json_is_copied(page, expected):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.click("#copy-json")
    expect(page.locator("#status")).to_have_text("Copied.")
    copied = json.loads(page.evaluate("navigator.clipboard.readText()"))
    assert copied == expected.to_dict() | {"source": "street.png"}


def test_several_photos_lie_in_a_strip_and_a_broken_one_says_why(page):
    drop(page, other_png=some_photo(90, 90, 1), broken_png=b"\x89PNG\r\n\x1a\nno picture")
    expect(page.locator("#strip li")).to_have_count(3)
    expect(page.locator("#strip .failed")).to_have_count(1)
    page.click("#strip .failed .photo")
    expect(page.locator("#problem")).to_contain_text("The photo was refused.")
    page.wait_for_timeout(100)
    assert count_colours(page) == 0 and rows(page).count() == 0  # nothing is left of the photo before
    page.click("#strip .failed .remove")
    expect(page.locator("#strip li")).to_have_count(2)
    assert len(read_saved(page, "#save-coco")["images"]) == 2


def test_one_photo_of_the_strip_is_decoded_at_a_time(browser, server):
    count = """() => { window.held = window.most = 0;
        const [create, close] = [createImageBitmap, ImageBitmap.prototype.close];
        window.createImageBitmap = async (...given) => {
            const bitmap = await create(...given);
            window.most = Math.max(window.most, ++window.held);
            return bitmap;
        };
        ImageBitmap.prototype.close = function () { window.held -= 1; close.call(this); }; }"""
    with visiting(browser, server.address, accept_downloads=True) as page:
        page.evaluate(count)
        drop(page, a_png=PHOTO, b_png=some_photo(90, 120, 1), c_png=some_photo(60, 90, 2))
        expect(page.locator("#strip .waiting")).to_have_count(0)
        for place, size in ((2, (90, 60)), (1, (120, 90)), (0, (160, 120))):
            page.locator("#strip .photo").nth(place).click()
            picture = Image.open(io.BytesIO(save(page, "#save-picture")[1]))
            assert picture.size == size and len(set(picture.convert("L").tobytes())) > 50  # not on grey
        assert page.evaluate("[window.held, window.most]") == [1, 1]


def test_a_server_with_tokens_lets_the_page_ask_for_one(browser):
    with (
        running({"small": small_predictor()}, tokens=[TOKEN]) as server,
        visiting(browser, server.address) as page,
    ):
        expect(page.locator("#token-form")).to_be_visible()
        page.fill("#token", "not the right one")
        page.click("#token-form button")
        expect(page.locator("#token-form")).to_be_visible()
        drop(page, street_png=PHOTO)
        page.fill("#token", TOKEN)
        page.click("#token-form button")
        expect(page.locator("#status")).to_contain_text("objects found")
        expect(page.locator("#token-form")).to_be_hidden()
        assert TOKEN not in str(page.context.storage_state())  # it is forgotten with the tab


def test_a_photo_that_the_browser_cannot_show_has_its_objects_on_grey(browser, server):
    with visiting(browser, server.address) as page:
        drop(page, scan_tif=encode(make_photo(120, 160), "TIFF"))
        set_score(page, 0.05)
        expect(page.locator("#status")).to_contain_text("drawn on grey")
        expect(rows(page).first).to_be_visible()
        expect(page.locator("#save-cutouts")).to_be_disabled()


def test_a_server_that_has_gone_is_told_in_plain_words(browser):
    with running({"small": small_predictor()}) as server, visiting(browser, server.address) as page:
        page.route("**/v1/predict*", lambda route: route.abort())
        drop(page, street_png=PHOTO)
        expect(page.locator("#problem")).to_contain_text("cannot be reached")
        page.unroute("**/v1/predict*")
        page.click("#again")
        expect(page.locator("#status")).to_contain_text("objects found")
        page.route("**/v1/models", lambda route: route.abort())
        page.reload()
        drop(page, street_png=PHOTO)
        expect(page.locator("#problem")).to_contain_text("cannot be reached")
        page.unroute("**/v1/models")
        page.click("#again")
        expect(page.locator("#status")).to_contain_text("objects found")


def test_of_several_models_one_is_chosen(browser):
    models = {"small": small_predictor(), "other": small_predictor("mask_rcnn_r50_fpn_1x_coco", *RENAMED)}
    with running(models) as server, visiting(browser, server.address) as page:
        drop(page, street_png=PHOTO)
        set_score(page, 0.05)
        expect(page.locator("#objects")).to_contain_text("dog")
        page.select_option("#model", "other")
        expect(page.locator("#objects")).to_contain_text("cat")


def test_a_chinese_browser_gets_chinese_and_may_switch(browser, server):
    with visiting(browser, server.address, locale="zh-CN") as page:
        assert page.get_attribute("html", "lang") == "zh-CN"
        expect(page.locator("#start")).to_contain_text("将照片拖到这里")
        page.click("#language")
        expect(page.locator("#start")).to_contain_text("Drop photos here")
        page.reload()
        expect(page.locator("#start")).to_contain_text("Drop photos here")


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("size", [None, PHONE], ids=["large", "phone"])
def test_nothing_keeps_a_person_out(browser, server, size, colours):
    options = {"viewport": size, "has_touch": True, "is_mobile": True} if size else {}
    with visiting(browser, server.address, color_scheme=colours, **options) as page:
        check_access(page)
        drop(page, street_png=PHOTO, broken_png=b"no picture")
        set_score(page, 0.05)
        expect(page.locator("#strip .failed")).to_have_count(1)
        expect(page.locator("#objects li").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(int(part) for part in ground[4:-1].split(",")) < 200) == (colours == "dark")
        check_access(page)


def check_access(page):
    found = Axe().run(page).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"], one["nodes"][0]["failureSummary"]) for one in found] == []
