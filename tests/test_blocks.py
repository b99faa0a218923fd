"""Every block of code on the pages runs as it stands there, or says beside it why not.

A page is followed from its first block to its last, in a folder with small stand-ins of what it names (`stand_ins.py`).
"""

import ast
import re
import shlex
import shutil
from pathlib import Path

import pytest
import typer

from maskzoo.cli import app
from maskzoo.zoo import rows as zoo_rows
from pages import SLOW, read_blocks, reading
from shared_data import ROOT
from stand_ins import lay_out, write_home, write_rows

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # huggingface_hub's own
AT_THE_ROOT = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "CODE_OF_CONDUCT.md")
ENGLISH = [page for page in sorted((ROOT / "docs").glob("*.md")) if not page.name.endswith(".zh.md")]
CHINESE = [ROOT / "README.zh.md", *sorted((ROOT / "docs").glob("*.zh.md"))]
PAGES = [page for page in [*(ROOT / name for name in AT_THE_ROOT), *ENGLISH] if read_blocks(page)]
# What a page makes itself is not there before.
MADE = {
    "README.md": ("runs/mine",),
    "own-data.md": ("my-data", "runs/mine"),
    "training.md": ("runs/mine",),
    "migrating.md": ("my.yml",),
}


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return write_rows(tmp_path_factory.mktemp("rows") / "models")


@pytest.fixture(scope="module")
def home(rows, tmp_path_factory):
    return write_home(tmp_path_factory.mktemp("home"), rows)


@pytest.fixture(scope="module")
def stand_ins(rows, home, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stand_ins")
    lay_out(folder, rows, home)
    return folder


@pytest.fixture
def folder(rows, home, stand_ins, tmp_path, monkeypatch, hub_server):
    """Where a page is followed: everything that it names lies there, and nothing beyond this machine is reached."""
    shutil.copytree(home, tmp_path / "home")
    monkeypatch.setattr(zoo_rows, "FOLDER", rows)
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    shutil.copytree(stand_ins, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")


def follow(page, rows, slow):
    for made in map(Path, MADE.get(page.name, ())):
        shutil.rmtree(made) if made.is_dir() else made.unlink()
    with reading(rows, slow) as reader:
        for block in read_blocks(page):
            if "" not in block.left_out:
                reader.follow(block)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_runs_as_it_stands_or_says_why_not(page, rows, folder, capsys):
    follow(page, rows, slow=False)


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if SLOW.search(page.read_text())], ids=lambda page: page.name)
def test_so_do_the_lines_that_take_long(page, rows, folder, capsys):
    follow(page, rows, slow=True)


@pytest.mark.parametrize("page", [*PAGES, *CHINESE], ids=lambda page: page.name)
def test_code_stands_in_blocks_and_what_is_left_out_is_there(page):
    assert re.findall(r"^ {4}maskzoo .*", page.read_text(), re.MULTILINE) == []  # a block that is told by its indent alone
    for block in read_blocks(page):
        for beginning, why in block.left_out.items():
            assert any(line.startswith(beginning) for line in block.list_lines()) and len(why) > 10, (block.place, beginning)
        assert "" in block.left_out or block.list_run(), block.place


@pytest.mark.parametrize("page", [*PAGES, *CHINESE], ids=lambda page: page.name)
def test_a_verb_has_a_place_for_every_word_that_it_is_given(page):
    lines = [line for block in read_blocks(page) if block.language == "sh" for line in block.list_lines()]
    assert [line for line in lines if line.startswith("maskzoo ") and list_surplus(line)] == []


def list_surplus(line):
    """The words of a command that its verb has no place for; an option that it does not have is an error."""
    command, words = typer.main.get_command(app), shlex.split(line)[1:]
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    return command.make_parser(command.context_class(command)).parse_args(words)[1]


@pytest.mark.parametrize("page", CHINESE, ids=lambda page: page.name)
def test_a_chinese_page_has_only_lines_of_english_ones(page):
    known = {line for english in PAGES for block in read_blocks(english) for line in read_code(block)}
    for block in read_blocks(page):
        assert set(read_code(block)) <= known, block.place


def read_code(block):
    """The statements or command lines of a block, without comments."""
    return [ast.unparse(node) for node in ast.parse(block.text).body] if block.language == "python" else block.list_lines()
