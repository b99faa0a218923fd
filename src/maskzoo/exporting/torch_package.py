"""The network compiled ahead of time: a `.pt2` package of AOTInductor, which C++ runs with libtorch alone."""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from maskzoo.errors import ExportError
from maskzoo.exporting.example import describe
from maskzoo.exporting.onnx import Facts
from maskzoo.exporting.program import Program, trace
from maskzoo.exporting.torch_operators import TorchOperators
from maskzoo.system.files import write_file

__all__ = ["read_package_facts", "write_package"]

METADATA = "_metadata.json"  # how the names of the members end that hold them, beside AOTInductor's own
SOURCE = ".cpp"  # what the library was compiled from: it tells paths of its maker, and nobody reads it


def write_package(program: Program, facts: Facts, out: Path) -> None:
    """Compile the program for this processor and write it as `out` (.pt2), with its `facts` in the metadata.

    Raises ExportError if there is no C++ compiler, or the file cannot be written.
    """
    from torch._inductor import aoti_compile_and_package, config
    from torch._inductor.utils import fresh_cache

    _find_compiler([name for name in config.cpp.cxx if name])
    options = {
        "aot_inductor.metadata": facts.to_metadata() | describe(facts.config),
        "aot_inductor.enable_line_tables": False,  # they tell paths as well
        "aot_inductor.precompile_headers": False,  # they are for the next one
        "cpp.dynamic_threads": True,  # as many as the user's machine has, not this one
    }
    with tempfile.TemporaryDirectory() as folder, _quiet(), fresh_cache(dir=folder):
        with TorchOperators():
            traced = trace(program, facts.fixed, facts.config.input.canvas_multiple)
        compiled = aoti_compile_and_package(traced, package_path=f"{folder}/network.pt2", inductor_configs=options)
        stripped = Path(folder) / "stripped.pt2"
        _strip(Path(compiled), stripped)
        write_file(out, stripped.read_bytes(), ExportError)


def read_package_facts(path: Path) -> Facts:
    """Read the metadata of an exported `.pt2` file, without running anything of it. Raises ExportError."""
    metadata: dict[str, str] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith(METADATA):
                    metadata |= json.loads(archive.read(name))
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise ExportError(f"{path}: cannot be read as a torch package ({error}); export it anew") from error
    return Facts.from_metadata(metadata, str(path))


def _find_compiler(names: list[str]) -> None:
    if not any(shutil.which(name) for name in names):
        raise ExportError(
            f"{' or '.join(names)} is not there, and a torch package is compiled with it: install a C++ compiler "
            "(apt install g++), or name yours in the environment variable CXX"
        )


def _strip(source: Path, out: Path) -> None:
    with zipfile.ZipFile(source) as package, zipfile.ZipFile(out, "w") as stripped:
        for member in package.infolist():
            if not member.filename.endswith(SOURCE):
                stripped.writestr(zipfile.ZipInfo(member.filename), package.read(member))


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the compiler: it warns about operators that it calls by name, and about torch's own old code."""
    logger = logging.getLogger("torch._inductor")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
