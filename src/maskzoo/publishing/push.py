"""A trained model into a Hugging Face repository: `maskzoo.push`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from maskzoo.errors import ArgumentError, DownloadError
from maskzoo.model_file import dump_config
from maskzoo.progress import OnProgress, ProgressEvent, say_nothing
from maskzoo.publishing.model_card import write_card
from maskzoo.system.files import hash_file
from maskzoo.system.packages import import_extra
from maskzoo.training.run_folder import RunFolder
from maskzoo.weights.checkpoint import read_checkpoint
from maskzoo.zoo.hub import MODEL_FILE, HubName, explained_hub, is_hub_name, is_offline, open_hub
from maskzoo.zoo.rows import find_weights

__all__ = ["Pushed", "push"]

CARD = "README.md"


@dataclass(frozen=True, slots=True)
class Pushed:
    """What was pushed: the `files` of one `commit`, the `address` to look at, and the SHA-256 of the weights.

    `kept_card` says that the repository had a card already, which was left as it is.
    """

    repository: str
    commit: str
    address: str
    files: tuple[str, ...]
    sha256: str
    kept_card: bool

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that `json.dumps` takes."""
        return asdict(self)


def push(
    model: str | Path,
    repository: str,
    *,
    public: bool = False,
    new_card: bool = False,
    message: str | None = None,
    on_progress: OnProgress = say_nothing,
) -> Pushed:
    """Put a model into a Hugging Face repository, which is made if there is none: weights, config and a model card.

    Args:
        model: The folder of a training run (its best weights, with what was measured of them), or a `.safetensors` file.
        repository: `user/name`.
        public: A repository that is made now can be read by everybody; else by you and whom you let. One that is there stays
            as it is.
        new_card: Write the card anew where the repository has one.
        message: Of the commit.
        on_progress: Is called with what is being done.

    Returns:
        The commit and what is in it.

    Raises:
        ArgumentError: It is no name of a repository, or the model is none that can be pushed.
        WeightsError: The file is damaged, or no checkpoint of maskzoo.
        DownloadError: The hub refused or cannot be reached, or MASKZOO_OFFLINE forbids asking it.
        MissingPackageError: huggingface_hub is not installed.
    """
    name = HubName.parse(repository)
    if "@" in repository:
        raise ArgumentError(f"{repository}: a revision is what is pulled; what is pushed becomes the newest: leave it out")
    file = _find_file(model)
    checkpoint = read_checkpoint(file)
    numbers = RunFolder(file.parent).read_best() if file == RunFolder(file.parent).best else {}
    if is_offline():
        raise DownloadError(f"{name}: MASKZOO_OFFLINE or HF_HUB_OFFLINE forbids asking the hub; push where it may be asked")
    sha256 = hash_file(file)
    card = write_card(name.repository, checkpoint.config, checkpoint.provenance, numbers, sha256)
    on_progress(ProgressEvent(f"Pushing {file.stat().st_size / 1e6:.0f} MB to {name}"))
    with explained_hub(name):
        hub, api = import_extra("huggingface_hub"), open_hub()
        hub.utils.disable_progress_bars()  # they would be drawn over ours
        api.create_repo(name.repository, private=not public, exist_ok=True)
        kept = not new_card and api.file_exists(name.repository, CARD)
        contents: dict[str, Path | bytes] = {MODEL_FILE: file, "model.yml": dump_config(checkpoint.config).encode()}
        if not kept:
            contents[CARD] = card.encode()
        operations = [
            hub.CommitOperationAdd(path, str(one) if isinstance(one, Path) else one) for path, one in contents.items()
        ]
        made = api.create_commit(name.repository, operations, commit_message=message or f"{checkpoint.config.name} by maskzoo")
    return Pushed(name.repository, made.oid, str(made.repo_url), tuple(contents), sha256, kept)


def _find_file(model: str | Path) -> Path:
    if is_hub_name(model):
        raise ArgumentError(f"{model}: is in a repository already; expected a run's folder or a .safetensors file")
    file = Path(find_weights(model))
    if file.suffix != ".safetensors":
        raise ArgumentError(
            f"{model}: expected a run's folder or a .safetensors file, which hold all of a model; "
            f"`maskzoo convert` makes one of other weights"
        )
    return file
