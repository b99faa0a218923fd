"""A package that is missing is told in one way, wherever it is needed."""

import ast
import re
import subprocess
import sys

import pytest

from maskzoo import MissingPackageError
from maskzoo.images.windows import open_windows
from maskzoo.inference.identities import IdentityTracker
from maskzoo.serving.client import Client
from maskzoo.system.packages import _NEEDS, describe_need, explain_missing, import_extra
from maskzoo.training.trackers import open_trackers
from maskzoo.video.source import VideoSource, open_source
from maskzoo.zoo.cvat import Function
from networks import small_predictor

PYPROJECT = "pyproject.toml"


def hide(monkeypatch, name):
    """Let nothing of a package be found, as if it were not installed."""
    for known in [one for one in sys.modules if one.partition(".")[0] == name]:
        monkeypatch.delitem(sys.modules, known)
    monkeypatch.setitem(sys.modules, name, None)


@pytest.mark.parametrize("name", sorted(_NEEDS))
def test_what_is_not_installed_is_named_with_its_use_and_the_command(monkeypatch, name):
    hide(monkeypatch, name)
    with pytest.raises(MissingPackageError, match=f"^{name} is not installed, and is needed for .*: pip install '") as told:
        import_extra(name)
    assert told.value.name == name and str(told.value).endswith(describe_need(name))


def test_every_extra_that_is_named_is_one_of_the_project(pytestconfig):
    text = (pytestconfig.rootpath / PYPROJECT).read_text()
    extras = set(re.findall(r"maskzoo\[(\w+)\]", " ".join(map(describe_need, _NEEDS))))
    assert extras and all(re.search(rf"^{extra} = \[", text, re.MULTILINE) for extra in extras)


REQUIRED = {"PIL", "cv2", "filelock", "hotcoco", "jinja2", "markupsafe", "msgspec", "numpy", "pydantic", "requests", "rich"}
REQUIRED |= {"safetensors", "torch", "typer", "urllib3", "yaml"}
PROGRAMS = {"triton_client.py", "example_script.py"}  # written out, for users without maskzoo


def test_every_package_that_is_imported_is_required_or_told_where_it_is_missing(pytestconfig):
    """An extra may bring packages by way of others, as the server's does h11: it is their import that fails first."""
    imported = set()
    for path in (pytestconfig.rootpath / "src" / "maskzoo").rglob("*.py"):
        if path.name in PROGRAMS:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {one.name for one in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported.add(node.module or "")
    others = {name.partition(".")[0] for name in imported} - REQUIRED - sys.stdlib_module_names - {"maskzoo"}
    assert "h11" in others and others <= _NEEDS.keys()


def test_what_is_installed_and_broken_is_not_called_missing(monkeypatch, tmp_path):
    """Its library lacks a part, or another package that it needs itself."""
    (tmp_path / "openvino.py").write_text("import nothing_of_this_name")
    (tmp_path / "sahi.py").write_text("raise ImportError('libGL.so.1: cannot open')")
    monkeypatch.syspath_prepend(tmp_path)
    for name, why in (("openvino", "nothing_of_this_name"), ("sahi", "libGL")):
        for known in [one for one in sys.modules if one.partition(".")[0] == name]:
            monkeypatch.delitem(sys.modules, known)
        with pytest.raises(MissingPackageError, match=f"{name} cannot be imported .*{why}.*install it anew: pip install"):
            import_extra(name)


def test_a_fault_in_our_own_imports_stays_what_it_is():
    error = ImportError("cannot import name", name="maskzoo.models")
    assert explain_missing(error) is error


USES = {
    "httpx": Client,
    "edgefirst": lambda: IdentityTracker(0.5, 0.04),
    "cvat_sdk": lambda: Function(small_predictor()),
}


@pytest.mark.parametrize("name", USES)
def test_who_needs_it_says_so(monkeypatch, name):
    hide(monkeypatch, name)
    with pytest.raises(MissingPackageError, match=f"{name} is not installed"):
        USES[name]()


@pytest.mark.parametrize("name", ["wandb", "mlflow", "tensorboard"])
def test_trackers_say_so(monkeypatch, tmp_path, name):
    hide(monkeypatch, name)
    with pytest.raises(MissingPackageError, match=f"{name} is not installed"):
        open_trackers([name], tmp_path, {})


def test_readers_of_files_say_so(monkeypatch, tmp_path):
    for name, start in (("clip.mp4", b"\0\0\0\x18ftypmp42"), ("big.tif", b"II*\0")):
        (tmp_path / name).write_bytes(start)
    hide(monkeypatch, "av")
    with pytest.raises(MissingPackageError, match="av is not installed"):
        open_source(VideoSource.parse(tmp_path / "clip.mp4"))
    hide(monkeypatch, "tifffile")
    with pytest.raises(MissingPackageError, match="tifffile is not installed"), open_windows(tmp_path / "big.tif"):
        pass


@pytest.mark.parametrize("name", ["uvicorn", "fastapi", "starlette", "h11", "python_multipart", "prometheus_client"])
def test_the_server_says_so_in_python(name):
    """`maskzoo.serve` is imported at its first use."""
    program = f"import sys; sys.modules[{name!r}] = None; import maskzoo; maskzoo.serve"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert f"MissingPackageError: {name} is not installed, and is needed for the server: " in ran.stderr
