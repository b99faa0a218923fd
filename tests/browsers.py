"""Chromium for the tests of the page; they skip where it, or what runs networks in it, is not installed."""

import base64
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PATIENCE = 60_000  # milliseconds: a busy machine compiles the runtime slowly
LARGE, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}


@contextmanager
def browsing():
    """Yield Chromium."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed (make browser)")
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        try:
            yield browser
        finally:
            browser.close()


def find_runtime():
    """Return the package of onnxruntime for browsers that `make browser` fetched, or skip."""
    found = sorted(Path(sys.prefix, "browser", "weights").glob("onnxruntime-web-*.tgz"))
    if not found:
        pytest.skip("onnxruntime-web is not there (make browser)")
    return found[0]


@contextmanager
def visiting(browser, address, **options):
    """Yield the page at an address, in a visit of its own; an error in its console, or a request to elsewhere, fails it."""
    context = browser.new_context(**{"viewport": LARGE, "locale": "en-US", "color_scheme": "light"} | options)
    try:
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        faults = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
        context.on("request", lambda request: None if at_home(request.url, address) else faults.append(request.url))
        page.goto(address)
        yield page
        assert [fault for fault in faults if not fault.startswith("Failed to load resource")] == []  # the page tells of those
    finally:
        context.close()


def at_home(url, address):
    """Whether a request stays with the host of the page."""
    return url.startswith((address, f"blob:{address}"))


def drop(page, **photos):
    """Drop files on the page, as a mouse does: names, `_` for the dot, and bytes."""
    files = [[name.replace("_", "."), base64.b64encode(content).decode()] for name, content in photos.items()]
    page.evaluate(
        """files => {
            const data = new DataTransfer();
            for (const [name, content] of files) {
                const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
                data.items.add(new File([bytes], name, {type: name.endsWith("png") ? "image/png" : "image/jpeg"}));
            }
            document.body.dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true}));
        }""",
        files,
    )


def set_score(page, score):
    page.locator("#threshold").evaluate("(slider, score) => { slider.value = score; slider.oninput({target: slider}) }", score)


def save(page, button):
    """Press a button that saves, and return the file's name and bytes."""
    with page.expect_download() as download:
        page.click(button)
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()
