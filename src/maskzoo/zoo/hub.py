"""Models in Hugging Face repositories: their names, and their weights on this machine, pinned and verified.

Of a repository one `.safetensors` file of maskzoo's is taken, which holds its config and its classes; nothing else, whatever
lies there. What a revision was when it was pulled is written down beside the file, and does not change in silence.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from filelock import FileLock

from maskzoo.errors import ArgumentError, DownloadError, MaskzooError, WeightsError, list_some
from maskzoo.progress import OnProgress, ProgressEvent, say_nothing
from maskzoo.system.files import explained, hash_file, home, write_whole
from maskzoo.system.packages import import_extra

__all__ = ["MODEL_FILE", "HubName", "Pulled", "explained_hub", "fetch_hub", "is_hub_name", "is_offline", "open_hub", "pull"]

MODEL_FILE = "model.safetensors"
MAIN = "main"
NOTE = "pulled.json"
OFFLINE = ("MASKZOO_OFFLINE", "HF_HUB_OFFLINE")
_PREFIX = re.compile(r"^hf:/{1,2}")  # a path makes one slash of the two
_PART, _REVISION = r"[A-Za-z0-9](?:[A-Za-z0-9_-]|\.(?!\.)){0,95}", r"[A-Za-z0-9](?:[A-Za-z0-9_/-]|\.(?!\.)){0,199}"
_NAME = re.compile(rf"({_PART})/({_PART})(?:@({_REVISION}))?")
_WEIGHTS = re.compile(rf"{_PART}\.safetensors")


@dataclass(frozen=True, slots=True)
class HubName:
    """The name of a repository, `user/name`, and the revision that was asked for: a branch, a tag or a commit."""

    repository: str
    revision: str = MAIN

    @classmethod
    def parse(cls, text: str) -> HubName:
        """Read `user/name`, `hf://user/name` or either with `@revision`. Raises ArgumentError for anything else."""
        match = _NAME.fullmatch(_PREFIX.sub("", text))
        if match is None or match[2].endswith((".git", ".ipynb")):
            raise ArgumentError(f"{text!r}: not the name of a repository; expected user/name or user/name@revision")
        return cls(f"{match[1]}/{match[2]}", match[3] or MAIN)

    @property
    def folder(self) -> Path:
        """Where its weights lie on this machine."""
        return home() / "hub" / self.repository / quote(self.revision, safe="")

    def __str__(self) -> str:
        return self.repository if self.revision == MAIN else f"{self.repository}@{self.revision}"


@dataclass(frozen=True, slots=True)
class Pulled:
    """A model of a repository on this machine: the `commit` that the revision was, and the SHA-256 of the file at `path`.

    `name` is the file's there; `fetched` says whether it came over the network now.
    """

    repository: str
    revision: str
    commit: str
    name: str
    sha256: str
    path: Path
    fetched: bool

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that `json.dumps` takes."""
        return asdict(self) | {"path": str(self.path)}


def is_hub_name(model: str | Path) -> bool:
    """Say whether a model is named by a repository: `hf://user/name`."""
    return _PREFIX.match(str(model)) is not None


def fetch_hub(model: str | Path, on_progress: OnProgress = say_nothing) -> Path:
    """Return the weights of `hf://user/name`: those on this machine, as they were pulled, else pulled now.

    Raises as `pull` does.
    """
    name = HubName.parse(str(model))
    here = _read_here(name)
    return (here or pull(str(name), on_progress=on_progress)).path


def pull(repository: str, *, on_progress: OnProgress = say_nothing) -> Pulled:
    """Fetch a model from a Hugging Face repository, if it is not here yet or has moved on.

    Args:
        repository: `user/name`, or `user/name@revision`: a tag, branch or commit. Without one it is the newest on `main`.
        on_progress: Is called with the bytes of a download.

    Returns:
        Where the weights lie, with commit and SHA-256; `maskzoo.load("hf://user/name")` takes the same file.

    Raises:
        ArgumentError: It is no name of a repository.
        WeightsError: A revision is not what it was when it was pulled, or the file is no model of maskzoo's.
        DownloadError: The repository cannot be reached or holds no such file, or MASKZOO_OFFLINE forbids asking it.
        MissingPackageError: huggingface_hub is not installed.
    """
    name = HubName.parse(repository)
    if is_offline():
        raise DownloadError(f"{name}: MASKZOO_OFFLINE or HF_HUB_OFFLINE forbids asking the hub. {_advise(name)}")
    with explained(name.folder, DownloadError):
        name.folder.mkdir(parents=True, exist_ok=True)
    with FileLock(name.folder / ".lock"):
        here = _read_here(name)
        commit, file, stated = _look(name)
        if here is not None and not _has_moved(name, here, commit, file, stated):
            return here
        found = _download(name, commit, file, stated, on_progress)
    if here is not None:
        note = f"{name}: moved on from commit {here.commit[:12]} to {commit[:12]}"
        on_progress(ProgressEvent("Fetching weights", note=note))
    return found


def is_offline() -> bool:
    """Say whether a variable of maskzoo's or of huggingface_hub's forbids asking the hub."""
    return any(os.environ.get(switch, "0").lower() not in ("", "0", "false", "no", "off") for switch in OFFLINE)


def open_hub() -> Any:
    """Return huggingface_hub's client for the hub at HF_ENDPOINT. Raises MissingPackageError if it is not installed."""
    hub = import_extra("huggingface_hub")
    return hub.HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None, library_name="maskzoo")


@contextlib.contextmanager
def explained_hub(name: HubName, remedy: str = "") -> Iterator[None]:
    """Say which repository a failed request was about, and what to do; `remedy` where the connection is at fault."""
    try:
        yield
    except MaskzooError:
        raise
    except Exception as error:  # its own errors, its HTTP library's and the socket's share no class
        status = getattr(getattr(error, "response", None), "status_code", None)
        lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        advice = (
            "check the name and the revision; a private or gated one needs a token: hf auth login, or HF_TOKEN"
            if status in (401, 403, 404)
            else f"check the connection and try again. {remedy}".rstrip()
        )
        raise DownloadError(f"{name}: the hub refused or could not be asked ({' '.join(lines[:2])}); {advice}") from error


def _advise(name: HubName) -> str:
    return f"Pull it elsewhere and copy the folder {name.folder}, or set MASKZOO_HOME to a folder that holds it"


def _look(name: HubName) -> tuple[str, str, str | None]:
    """Return the commit that a revision is now, its weights file, and the SHA-256 that the hub states of it."""
    with explained_hub(name, _advise(name)):
        info = open_hub().model_info(name.repository, revision=name.revision, files_metadata=True)
    files = {one.rfilename: one for one in info.siblings or []}
    weights = [file for file in files if _WEIGHTS.fullmatch(file)]
    if not re.fullmatch("[0-9a-f]{40,64}", str(info.sha)):
        raise DownloadError(f"{name}: the hub names the commit {info.sha!r}; expected 40 hexadecimal digits; try again")
    if MODEL_FILE not in weights and len(weights) != 1:
        raise DownloadError(
            f"{name}: holds {list_some(sorted(files)) or 'nothing'}; expected {MODEL_FILE}, or one .safetensors file at the "
            "top, as `maskzoo push` writes it; other kinds of files are not taken"
        )
    file = MODEL_FILE if MODEL_FILE in weights else weights[0]
    lfs = files[file].lfs
    return info.sha, file, None if lfs is None else lfs.sha256


def _has_moved(name: HubName, here: Pulled, commit: str, file: str, stated: str | None) -> bool:
    """Say whether `main` is another commit than it was. Raises WeightsError if what should stay has changed."""
    if commit == here.commit:
        if (file, stated or here.sha256) != (here.name, here.sha256):
            raise WeightsError(
                f"{name}: commit {commit} holds {file} of SHA-256 {stated}, and held {here.name} of {here.sha256} when it was "
                f"pulled; a commit never changes, so do not trust it. What was pulled is still at {here.path}"
            )
        return False
    if name.revision != MAIN:
        raise WeightsError(
            f"{name}: is commit {commit} now, and was {here.commit} when it was pulled; to take the new one delete "
            f"{name.folder}; to keep the old one in any case name it: {name.repository}@{here.commit}"
        )
    return True


def _download(name: HubName, commit: str, file: str, stated: str | None, on_progress: OnProgress) -> Pulled:
    from maskzoo.weights.checkpoint import read_checkpoint_config  # imports torch

    part = name.folder / ".part"
    on_progress(ProgressEvent(f"Fetching {name}"))
    with explained_hub(name):
        api = open_hub()
        given = Path(
            api.hf_hub_download(name.repository, file, revision=commit, local_dir=part, tqdm_class=_report(on_progress))
        )
    with explained(name.folder, DownloadError):
        sha256 = hash_file(given)
        if stated is not None and sha256 != stated:
            shutil.rmtree(part)
            raise DownloadError(f"{name}: {file} has SHA-256 {sha256}, expected {stated}, which the hub states; it was deleted")
        read_checkpoint_config(given)
        note = {"repository": name.repository, "revision": name.revision, "commit": commit, "name": file, "sha256": sha256}
        path = name.folder / MODEL_FILE
        (name.folder / NOTE).unlink(missing_ok=True)  # at no moment does it stand beside another file
        given.replace(path)
        write_whole(name.folder / NOTE, json.dumps(note, indent=1).encode() + b"\n")
        shutil.rmtree(part, ignore_errors=True)
    return Pulled(**note, path=path, fetched=True)


def _read_here(name: HubName) -> Pulled | None:
    """Return what was pulled before, None if nothing was. Raises WeightsError if the file has changed since."""
    path, note = name.folder / MODEL_FILE, name.folder / NOTE
    if not path.is_file() or not note.is_file():
        return None
    try:
        here = Pulled(**json.loads(note.read_bytes()), path=path, fetched=False)
        found = hash_file(path)
    except (OSError, ValueError, TypeError) as error:
        raise WeightsError(f"{note}: cannot be read ({error}); delete {name.folder} to pull it again") from error
    if found != here.sha256:
        raise WeightsError(
            f"{path}: SHA-256 is {found}, expected {here.sha256} (from {NOTE}): the file has changed since it was pulled; "
            f"delete {name.folder} to pull it again"
        )
    return here


def _report(on_progress: OnProgress) -> Any:
    """Return a progress bar for huggingface_hub that draws nothing and passes the bytes on."""

    class Bar(import_extra("tqdm").tqdm):  # type: ignore[misc]
        def __init__(self, *arguments: Any, **options: Any) -> None:
            known = {key: value for key, value in options.items() if key != "name"}
            super().__init__(*arguments, **known | {"disable": True})
            self.bytes, self.whole = int(options.get("initial") or 0), options.get("total")

        def update(self, n: float | None = 1) -> None:
            self.bytes += int(n or 0)
            on_progress(ProgressEvent("Fetching weights", self.bytes, self.whole, "bytes"))

    return Bar
