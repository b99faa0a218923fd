"""Regenerate the picture of the server's page, docs/images/page.jpg, with a network that knows the shapes of `maskzoo demo`.

python tools/draw_page.py demo-out/run/best.safetensors      `make demo` trains it; Chromium is on the path as `chromium`.
"""

import io
import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import requests
from PIL import Image
from playwright.sync_api import expect, sync_playwright

from maskzoo.demonstration.shapes import paint

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "images" / "page.jpg"
PORT = 8123
LARGER = 8  # times the size at which the network looks at a picture
SHOWN = (13, 2, 1, 24)  # pictures; the last one is the one that is shown


def main() -> None:
    serve = [sys.executable, "-m", "maskzoo", "serve", sys.argv[1], "--port", str(PORT)]
    with TemporaryDirectory() as place, subprocess.Popen(serve, stderr=subprocess.DEVNULL) as server:
        try:
            wait()
            draw([write(Path(place), number) for number in SHOWN])
        finally:
            server.terminate()


def write(folder: Path, number: int) -> Path:
    pixels, _ = paint(np.random.default_rng([0, 1, number]))
    size = (pixels.shape[1] * LARGER, pixels.shape[0] * LARGER * 3 // 4)
    path = folder / f"shapes-{number}.png"
    Image.fromarray(pixels[: pixels.shape[0] * 3 // 4]).resize(size, Image.Resampling.LANCZOS).save(path)
    return path


def wait() -> None:
    for _ in range(120):
        try:
            requests.get(f"http://127.0.0.1:{PORT}/ready", timeout=5).raise_for_status()
            return
        except requests.RequestException:
            time.sleep(1)
    sys.exit("the server did not start")


def draw(photos: list[Path]) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        page = browser.new_page(viewport={"width": 1180, "height": 700})
        page.goto(f"http://127.0.0.1:{PORT}/")
        page.set_input_files("#files", photos)
        expect(page.locator("#strip .waiting")).to_have_count(0, timeout=60_000)
        page.locator("#strip .photo").last.click()
        page.locator("#status").evaluate("element => element.textContent = ''")
        page.mouse.move(0, 0)
        page.wait_for_timeout(300)
        with Image.open(io.BytesIO(page.screenshot())) as image:
            image.convert("RGB").save(PICTURE, quality=85, optimize=True)
        browser.close()


if __name__ == "__main__":
    main()
