"""`maskzoo.__all__` is the promise: these names, with these signatures, documented; and every error is one of ours."""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import maskzoo
from maskzoo import errors
from shared_data import ROOT

sys.path.append(str(ROOT / "tools"))
from reference import TYPES, list_signatures

SOURCE = Path(maskzoo.__file__).parent
ERRORS = [
    "ArgumentError", "ConfigError", "DownloadError", "ExportError", "ImageError", "MaskzooError", "MissingPackageError",
    "SnapshotError", "SourceError", "TrainingError", "WeightsError",
]  # fmt: skip
# A line each. A change that breaks a promise shows here; one that is meant is written into this file.
SIGNATURES = Path(__file__).with_name("public_names.txt")
RAISE_NOTHING = {"keep_freed_memory", "names", "diagnose", "sample_photo"}
# Where Python's own errors are raised, and who turns them into one of ours, or why nobody can meet them.
OWN_CONVERSIONS = {
    "augmentations.py": "pydantic makes a ConfigError of them",
    "config.py": "pydantic makes a ConfigError of them",
    "datasets/importers/datumaro.py": "the importer names the shape that it skips",
    "datasets/importers/drawn_shapes.py": "the importer names the shape that it skips",
    "datasets/importers/fiftyone.py": "the importer names the shape that it skips",
    "datasets/importers/labelled.py": "the importer names the shape that it skips",
    "datasets/importers/labelme.py": "the importer names the shape that it skips",
    "datasets/importers/cityscapes.py": "the importer names the polygon that it skips",
    "datasets/importers/cvat.py": "the importer names the shape that it skips",
    "datasets/importers/voc_xml.py": "the importer names the object that it skips",
    "datasets/importers/xml_files.py": "the importer names the shape that it skips",
    "datasets/importers/supervisely.py": "the importer names the shape that it skips",
    "datasets/importers/brush_mask.py": "the importer names the region that it skips",
    "datasets/importers/isat.py": "the importer names the object that it skips",
    "datasets/importers/label_studio.py": "the importer names the region that it skips",
    "datasets/importers/labelbox.py": "the importer names the object that it skips",
    "datasets/importers/via.py": "the importer names the region that it skips",
    "datasets/sound_reader.py": "the other reader names what is wrong",
    "datasets/importers/yolo.py": "the importer names the line that it skips",
    "zoo/toolkit_configs.py": "the config is named with what is no YAML, or read as a text",
    "system/json_text.py": "every reader says which file is no JSON",
    "system/yaml_text.py": "every reader says which file is no YAML",
    "system/files.py": "`explained` says what helps",
    "training/snapshot.py": "a damaged list of snapshots",
    "weights/rename.py": "a table of ours that is wrong",
    "evaluation/run.py": "a call of ours that is wrong",
    "evaluation/metrics.py": "the library below breaks its word",
    "bench/stages.py": "called for eager alone",
    "exporting/runtimes.py": "abstract",
    "models/roi_heads.py": "abstract",
}


def test_the_public_names_have_these_signatures():
    """A change that is meant is written down by `python tools/reference.py names > tests/public_names.txt`."""
    assert list_signatures() == SIGNATURES.read_text().splitlines()
    told = {re.match(r"\w+", line)[0] for line in list_signatures()}
    assert set(maskzoo.__all__) - told == {*ERRORS, *TYPES}


@pytest.mark.parametrize("name", [name for name in maskzoo.__all__ if name not in TYPES])
def test_every_public_name_says_what_it_takes_gives_and_raises(name):
    value = getattr(maskzoo, name)
    assert value.__doc__
    if not inspect.isfunction(value):
        return
    signature = inspect.signature(value)
    for parameter in signature.parameters:
        assert re.search(rf"^ {{8}}(\w+, )*{parameter}(, \w+)*: ", value.__doc__.partition("    Args:\n")[2], re.MULTILINE), (
            parameter
        )
    assert ("    Returns:\n" in value.__doc__) == (signature.return_annotation not in ("None", None))
    assert ("    Raises:\n" in value.__doc__) == (name not in RAISE_NOTHING)


def test_dir_lists_the_public_names_and_others_are_refused():
    assert dir(maskzoo) == sorted(maskzoo.__all__)
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        maskzoo.nothing_of_the_kind  # noqa: B018


def test_importing_the_package_does_not_import_torch():
    code = "import sys, maskzoo; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_error_is_a_maskzoo_error_and_stands_in_one_file():
    ours = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, BaseException)]
    assert len(ours) > len(ERRORS) - 1 and all(issubclass(error, maskzoo.MaskzooError) for error in ours)
    assert {error.__name__ for error in ours} >= set(ERRORS)
    elsewhere = [
        f"{path.relative_to(SOURCE)}: {node.name}"
        for path in SOURCE.rglob("*.py")
        if path.name != "errors.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base).endswith(("Error", "Exception")) for base in node.bases)
    ]
    assert elsewhere == []


def test_errors_of_pythons_own_are_raised_only_where_they_become_one_of_ours():
    own = {"ValueError", "TypeError", "RuntimeError", "AssertionError", "NotImplementedError", "KeyError", "OSError"}
    raised = {
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Raise) and node.exc is not None and ast.unparse(node.exc).partition("(")[0] in own
    }
    assert raised <= set(OWN_CONVERSIONS)
