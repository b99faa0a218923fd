"""onnxruntime for browsers: from its published package, fetched once, or from one that is here."""

from __future__ import annotations

import tarfile
import zlib
from dataclasses import replace
from pathlib import Path

from maskzoo.errors import ExportError
from maskzoo.progress import OnProgress, ProgressEvent, say_nothing
from maskzoo.zoo.download import fetch

__all__ = ["fetch_package", "read_runtime"]

PACKAGE = "https://registry.npmjs.org/onnxruntime-web/-/onnxruntime-web-1.30.0.tgz"
SHA256 = "d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71"
INSIDE = ("package/dist", "dist", ".")  # where the files lie: in the archive or unpacked, as installed, alone
# The page's names end in .js: not every host knows that .mjs is a script. Those for WebGPU stay out: 1.30's run none of our
# networks (GatherND fails, AveragePool knows no ceil_mode, or Cast no float64).
FILES = {
    "runtime.js": "ort.wasm.min.mjs",
    "module.js": "ort-wasm-simd-threaded.mjs",
    "module.wasm": "ort-wasm-simd-threaded.wasm",
}


def read_runtime(given: Path | None, on_progress: OnProgress) -> dict[str, bytes]:
    """Return the runtime's files by the page's names, from the `given` folder or archive, else from the published package.

    Raises ExportError if a file is missing, DownloadError if the package cannot be fetched.
    """
    given = fetch_package(on_progress) if given is None else given
    found = _read_folder(given) if given.is_dir() else _read_archive(given)
    if missing := [theirs for ours, theirs in FILES.items() if ours not in found]:
        raise ExportError(
            f"{given}: has no {missing[0]}; expected onnxruntime-web 1.30, its folder or the archive that "
            "`npm pack onnxruntime-web@1.30.0` makes (--runtime)"
        )
    return found


def fetch_package(on_progress: OnProgress = say_nothing) -> Path:
    """Return the published package, 33 MB, which is fetched once and kept beside weights. Raises DownloadError."""

    def tell(event: ProgressEvent) -> None:
        on_progress(replace(event, stage="Fetching onnxruntime-web"))

    return fetch(PACKAGE, SHA256, on_progress=tell)


def _read_folder(folder: Path) -> dict[str, bytes]:
    return {
        ours: path.read_bytes()
        for ours, theirs in FILES.items()
        for path in [folder / place / theirs for place in INSIDE if (folder / place / theirs).is_file()][:1]
    }


def _read_archive(path: Path) -> dict[str, bytes]:
    wanted = {f"{INSIDE[0]}/{theirs}": ours for ours, theirs in FILES.items()}
    found = {}
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                if member.name in wanted and (stream := archive.extractfile(member)) is not None:
                    found[wanted[member.name]] = stream.read()
    except (OSError, tarfile.TarError, EOFError, zlib.error) as error:
        raise ExportError(f"{path}: no package of npm ({error}); expected a .tgz archive or a folder") from error
    return found
