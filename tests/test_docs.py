import re
import subprocess
import sys

import pytest
import torch
from PIL import Image

import maskzoo
from maskzoo.weights.checkpoint import write_checkpoint
from networks import FPN, make_photo, small_config, small_network
from shared_data import ROOT

PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])


def test_generated_parts_are_up_to_date():
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "write_docs.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_readme_has_at_most_150_lines():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


LINK, PATH = r"\]\(([^)#]+)\)", r"`((?:src|tests|docs|tools|benchmarks|examples)/[\w./*-]+)`"
MODULE = r"`((?:models|ops|data|inference|weights|zoo|training|cli)/\w+\.py)`"
NAME, TARGET = r"maskzoo\.([A-Za-z_]+)\b(?!\.)", r"^make ([a-z-]+)|`make ([a-z-]+)`"


@pytest.mark.parametrize("pattern", [LINK, PATH, MODULE, NAME, TARGET])
def test_the_pages_have_something_of_every_kind_that_is_looked_up(pattern):
    assert sum(len(re.findall(pattern, page.read_text(), re.MULTILINE)) for page in PAGES) > 5


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_paths_lead_somewhere(page):
    text = page.read_text()
    links = [link for link in re.findall(LINK, text) if "://" not in link]
    for link in links:
        assert (page.parent / link).exists(), link
    for path in re.findall(PATH, text):
        assert list(ROOT.glob(path.rstrip("/"))), path
    for path in re.findall(MODULE, text):
        assert (ROOT / "src" / "maskzoo" / path).exists(), path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_public_names_exist(page):
    for name in re.findall(NAME, page.read_text()):
        assert hasattr(maskzoo, name) or (ROOT / "src" / "maskzoo" / name).exists(), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_exist(page):
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(TARGET, page.read_text(), re.MULTILINE):
        assert re.search(rf"^{''.join(target)}:", makefile, re.MULTILINE), target


def test_the_python_of_the_readme_runs(tmp_path, monkeypatch):
    """On a small network that is sure of what it finds, in place of the published weights."""
    config = small_config()
    network = small_network(config)
    with torch.no_grad():
        network.heads.box.score.weight.mul_(20)
    write_checkpoint(tmp_path / "small.safetensors", network.state_dict(), config, {})
    Image.fromarray(make_photo(60, 80)).save(tmp_path / "street.jpg")
    monkeypatch.chdir(tmp_path)
    (snippet,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert f'"{FPN}"' in snippet
    exec(snippet.replace(f'"{FPN}"', '"small.safetensors"'), {})  # noqa: S102 - our own text
    with Image.open("out.jpg") as picture:
        assert picture.size == (80, 60)


def test_every_published_row_is_in_the_readme():
    text = (ROOT / "README.md").read_text()
    assert all(f"`{name}`" in text for name in maskzoo.names())
    assert len(maskzoo.names()) == 12


def test_every_deliberate_difference_is_listed():
    page = (ROOT / "docs" / "parity.md").read_text()
    marked = [
        path.relative_to(ROOT / "src" / "maskzoo").as_posix()
        for path in (ROOT / "src").rglob("*.py")
        if "# DIFFERS:" in path.read_text()
    ]
    assert marked
    for path in marked:
        assert path in page, path
