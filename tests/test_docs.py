import ast
import dataclasses
import inspect
import re
import subprocess
import sys

import pytest

import maskzoo
from maskzoo import errors
from maskzoo.system import memory, waiting
from maskzoo.zoo.rows import name_group
from shared_data import ROOT

AT_THE_ROOT = ("README.md", "README.zh.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "CODE_OF_CONDUCT.md")
sys.path.append(str(ROOT / "tools"))
from reference import walk_commands  # noqa: E402

PAGES = sorted([*(ROOT / name for name in AT_THE_ROOT), *(ROOT / "docs").glob("*.md")])


def test_generated_parts_are_up_to_date():
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "write_docs.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_readme_has_at_most_170_lines():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 170


SOURCE = ROOT / "src" / "maskzoo"
PARTS = "|".join(sorted(path.name.replace(".py", r"\.py") for path in SOURCE.iterdir() if not path.name.startswith("__")))
LINK, PATH = r"\]\(([^)]+)\)", r"`((?:src|tests|docs|tools|benchmarks|examples)/[\w./*-]+)`"
MODULE = rf"`((?:{PARTS})(?:/[\w./*-]*)?)`"  # below src/maskzoo: a room, a folder in it, a file of any kind
PYTHON, READ = r"```python\n(.*?)```", r"environ(?:ment)?(?:\.get|\.setdefault)?[\[(]\"(\w+)\""
NAME, TARGET = r"maskzoo\.([A-Za-z_]+)\b(?!\.)", r"^make ([a-z-]+)(?: {2,}|$)|`make ([a-z-]+)(?: [A-Z]+=[^`]+)?`"


@pytest.mark.parametrize("pattern", [LINK, PATH, MODULE, NAME, TARGET])
def test_the_pages_have_something_of_every_kind_that_is_looked_up(pattern):
    assert sum(len(re.findall(pattern, page.read_text(), re.MULTILINE)) for page in PAGES) > 5


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_paths_lead_somewhere(page):
    text = page.read_text()
    links = [link for link in re.findall(LINK, text) if "://" not in link]
    for link in links:
        file, _, heading = link.partition("#")
        target = page.parent / file if file else page
        assert target.exists(), link
        assert not heading or heading in list_anchors(target.read_text()), link
    for path in re.findall(PATH, text):
        assert list(ROOT.glob(path.rstrip("/"))), path
    for path in re.findall(MODULE, text):
        assert list(SOURCE.glob(path.rstrip("/"))), path


def list_anchors(text):
    """The anchors of a page's headings, as they are made from their words."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]


def test_every_page_is_linked_from_another():
    linked = {
        (page.parent / link.partition("#")[0]).resolve()
        for page in PAGES
        for link in re.findall(LINK, page.read_text())
        if "://" not in link and not link.startswith("#")
    }
    assert [page.name for page in PAGES if page not in linked and page.name != "README.md"] == []


def test_every_room_is_in_the_readme_and_in_the_table_of_the_architecture():
    rooms = {path.name for path in SOURCE.iterdir() if path.suffix in ("", ".py") and not path.name.startswith("__")}
    tree = (ROOT / "README.md").read_text().partition("src/maskzoo/\n")[2].partition("```")[0]
    assert {room for room in rooms if room not in re.findall(r"[\w.]+", tree)} == set()
    table = (ROOT / "docs" / "architecture.md").read_text().partition("## ")[0]
    assert {room for room in rooms if not re.search(rf"`{re.escape(room)}[/`]", table)} == set()


def test_every_error_of_ours_is_in_the_conventions():
    page = (ROOT / "docs" / "conventions.md").read_text()
    ours = [name for name in errors.__all__ if name.endswith("Error")]
    assert [name for name in ours if not re.search(rf"\b{name}`", page)] == []


def test_every_environment_variable_that_is_read_is_in_the_conventions():
    page = (ROOT / "docs" / "conventions.md").read_text()
    text = "".join(path.read_text() for path in SOURCE.rglob("*.py"))
    read = {*re.findall(READ, text), *waiting.SWITCHES, memory.SWITCH, memory.SETUPS}
    assert {"MASKZOO_HOME", "MASKZOO_OFFLINE", "WORLD_SIZE"} <= read
    assert {name for name in read if f"`{name}" not in page} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_calls_in_python_fit_the_functions_and_what_is_read_of_their_results(page):
    for snippet in re.findall(PYTHON, page.read_text(), re.DOTALL):
        results = {}
        tree = ast.parse(snippet)
        for call in find_calls(tree):
            bind_call(call)
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and isinstance(node.targets[0], ast.Name):
                results[node.targets[0].id] = find_result(node.value)
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute):
                owner = results.get(node.value.id) if isinstance(node.value, ast.Name) else find_result(node.value)
                assert owner is None or node.attr in list_attributes(owner), ast.unparse(node)


def test_the_readme_calls_every_verb():
    snippets = re.findall(PYTHON, (ROOT / "README.md").read_text(), re.DOTALL)
    called = {call.func.attr for snippet in snippets for call in find_calls(ast.parse(snippet))}
    functions = {name for name in maskzoo.__all__ if inspect.isfunction(getattr(maskzoo, name))}
    # no verbs
    others = {"augment", "join_processes", "keep_freed_memory", "names", "read_image", "write_pick_page", "write_report"}
    assert functions - called == others


def find_calls(tree):
    """The calls of maskzoo's own functions in a piece of Python."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) == "maskzoo":
            yield node


def bind_call(call):
    """Refuse what the function would refuse; an argument `...` stands for what the page leaves out."""
    signature = inspect.signature(getattr(maskzoo, call.func.attr))
    left_out = any(ast.unparse(argument) == "..." for argument in call.args)
    places = [argument for argument in call.args if ast.unparse(argument) != "..."]
    bind = signature.bind_partial if left_out else signature.bind
    bind(*places, **{keyword.arg: keyword.value for keyword in call.keywords})


def find_result(node):
    """The public class that a call of ours returns, None for anything else."""
    if not isinstance(node, ast.Call) or node not in list(find_calls(node)):
        return None
    return getattr(maskzoo, str(inspect.signature(getattr(maskzoo, node.func.attr)).return_annotation), None)


def list_attributes(owner):
    return (
        {*dir(owner), *(field.name for field in dataclasses.fields(owner))}
        if dataclasses.is_dataclass(owner)
        else {*dir(owner)}
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_public_names_exist(page):
    for name in re.findall(NAME, page.read_text()):
        assert hasattr(maskzoo, name) or (ROOT / "src" / "maskzoo" / name).exists(), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_exist(page):
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(TARGET, page.read_text(), re.MULTILINE):
        assert re.search(rf"^{''.join(target)}:", makefile, re.MULTILINE), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_verbs_and_options_in_commands_exist(page):
    verbs = {words: command for words, command in walk_commands() if not hasattr(command, "commands")}
    blocks = re.findall(r"^```(?:text|sh)\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    for line in re.findall(r"^ *(maskzoo [a-z].*)", "".join(blocks).replace("\\\n", " "), re.MULTILINE):
        words = re.match(r"maskzoo [a-z]+(?: (?:check|stats|show|split|convert|pick|copy|import)\b)?", line)[0]
        verb = next((verbs[name] for name in (words, words.rpartition(" ")[0]) if name in verbs), None)
        assert verb or words == "maskzoo models", line
        known = {name for each in verb.params for name in [*each.opts, *each.secondary_opts]} if verb else set()
        given = set(re.findall(r"(?<= )--[a-z][\w-]*", line.partition("   #")[0])) - {"--help"}
        assert given <= known, line


def test_every_published_row_is_in_the_zoos_page_and_paddledetections_are_in_the_readme():
    page, readme = ((ROOT / name).read_text() for name in ("docs/zoo.md", "README.md"))
    assert all(f"`{name}`" in page for name in maskzoo.names())
    assert sum(f"`{name}`" in readme for name in maskzoo.names() if name_group(name) == "PaddleDetection") == 12


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
