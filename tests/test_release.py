"""What is handed out: wheel and sdist, pinned versions with hashes, licences, and the files around them."""

import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile

import pytest
import yaml
from packaging.utils import canonicalize_name

import maskzoo
from shared_data import ROOT

sys.path.append(str(ROOT / "tools"))
from extras import ALONE, ELSEWHERE, USES
from licences import ALLOWED, NO_USERS, list_asked, tell_licences

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder with the wheel and the sdist, made without a network."""
    pytest.importorskip("build", reason="the wheel is built by pip install 'maskzoo[dev]'")
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--sdist", "--outdir", folder, ROOT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_wheel_has_the_source_and_nothing_else(built):
    (wheel,) = built.glob("*.whl")
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    source = {path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src" / "maskzoo").rglob("*") if path.is_file()}
    assert names == {name for name in source if "__pycache__" not in name}


def test_the_sdist_has_what_its_users_may_read_and_build(built):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2].partition("/")[0] for name in archive.getnames()}
    assert names == {
        "src", "README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff", "SECURITY.md", "constraints.txt", "pyproject.toml",
        "PKG-INFO", ".gitignore",
    }  # fmt: skip


def test_the_package_index_will_take_and_show_both(built):
    command = [sys.executable, "-m", "twine", "check", "--strict", *built.iterdir()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_wheel_works_without_a_checkout(built, tmp_path):
    (wheel,) = built.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    command = [sys.executable, "-m", "maskzoo", "models", "--json"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "installed")}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)) > 12


def test_every_dependency_has_a_licence_that_is_listed_and_allowed():
    page = (ROOT / "docs" / "licences.md").read_text()
    licences = tell_licences()
    unknown = {canonicalize_name(one.name) for one in list_asked()} - set(map(canonicalize_name, licences))
    assert unknown == set(), "not installed, so nobody looks at their licences: pip install 'maskzoo[dev]'"
    assert {name for name in licences if f"| {name} |" not in page} == set(), "tools/licences.py writes the page anew"
    assert {name: licence for name, licence in licences.items() if not ALLOWED.search(licence)} == {}
    assert [name for name, licence in licences.items() if re.search(r"\bA?GPL", licence)] == []


def test_the_lock_has_hashes_and_the_versions_that_are_tested():
    lock = (ROOT / "requirements.lock").read_text()
    entries = re.findall(r"^([\w.-]+)==(\S+) (.*?)(?=^[\w.-]+==|\Z)", lock, re.MULTILINE | re.DOTALL)
    tested = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
    tested = {canonicalize_name(name): version for name, version in tested.items()}
    assert len(entries) > 20 and all("--hash=sha256:" in rest for _, _, rest in entries)
    assert {name: version for name, version, _ in entries if tested.get(name, version) != version} == {}


def test_make_extras_tries_every_extra_alone():
    assert USES.keys() - {ALONE} | ELSEWHERE == PROJECT["optional-dependencies"].keys()


def test_the_lock_has_every_dependency_that_a_user_may_ask_for():
    locked = set(re.findall(r"^([\w.-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    apart = {"torch"}  # which build fits is the machine's matter
    assert {canonicalize_name(one.name) for one in list_asked()} - locked == apart
    extras = re.search(r"^LOCKED := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1].split()
    assert PROJECT["optional-dependencies"].keys() - NO_USERS - set(extras) == {"export"}  # int8 has it


def test_the_version_stands_in_one_place():
    assert maskzoo.__version__ == PROJECT["version"]
    written = [path for path in (ROOT / "src").rglob("*.py") if f'"{PROJECT["version"]}"' in path.read_text()]
    assert written == []


def test_the_metadata_says_who_where_and_for_what():
    classifiers = PROJECT["classifiers"]
    assert PROJECT["authors"] == [{"name": "maskzoo maintainers"}]
    assert {f"Programming Language :: Python :: 3.{minor}" for minor in (11, 12, 13, 14)} <= set(classifiers)
    trove = pytest.importorskip("trove_classifiers", reason="comes with hatchling").classifiers
    assert set(classifiers) <= trove


@pytest.mark.parametrize("path", sorted((ROOT / ".github").rglob("*.yml")), ids=lambda path: path.stem)
def test_workflows_and_forms_are_sound_and_workflows_may_do_little_by_default(path):
    content = yaml.safe_load(path.read_text())
    if path.parent.name == "workflows":
        assert content["permissions"] == {"contents": "read"}
        makefile = (ROOT / "Makefile").read_text()
        steps = [step.get("run", "") for job in content["jobs"].values() for step in job["steps"]]
        for target in re.findall(r"make ([a-z-]+)", "\n".join(steps)):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
