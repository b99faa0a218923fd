"""PaddleDetection as the golden files' reference: imported from a checkout with named edits, run with rule-made weights.

Nothing of it is changed on disk. Paddle and PaddleDetection are imported by `open_reference` and after it, never before.
"""

import functools
import importlib
import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from pdparams_files import rule_weights

COMMIT = "666f597fd00d3157e84dd9fb2dd3f40bf9918ebc"  # 2024-10-18, the newest when the sets were made


@dataclass(frozen=True)
class Edit:
    """A piece of a module's source that is replaced as the module is imported, and why. It has to occur `times` times."""

    module: str
    old: str
    new: str
    why: str
    times: int = 1


EDITS = (
    Edit(
        "ppdet.modeling.heads.roi_extractor",
        "self.aligned = False #",
        "self.aligned = aligned #",
        "the configurations say `aligned: True`, the published weights were trained so; since 2024-08 it is ignored",
    ),
    Edit(
        "ppdet.modeling.post_process",
        "[bbox_num[i:i + 1], ",
        "[int(bbox_num[i]), ",
        "numpy 2.4 refuses to make a number of an array that has an axis",
        times=2,
    ),
    Edit(
        "ppdet.modeling.proposal_generator.target",
        "mask = is_crowd * ones",
        "mask = is_crowd.cast('float32') * ones",
        "Paddle 3 does not multiply int32 by float32; only `match.crowd` of units.npz comes here",
    ),
)
# Packages of other networks that PaddleDetection imports at its start. Where one is not installed, an empty one stands in.
UNUSED = ("imgaug", "matplotlib", "mpl_toolkits", "pandas", "shapely", "sklearn")


def open_reference(checkout: Path, edits: Sequence[Edit] = EDITS) -> None:
    """Import PaddleDetection from the folder that holds its `ppdet`, with edits, and register its classes."""
    if not (checkout / "ppdet" / "core" / "workspace.py").is_file():
        sys.exit(f"{checkout} holds no PaddleDetection (ppdet/core/workspace.py): give the folder of its checkout")
    open_edited(checkout, edits)
    for module in ("paddle", "ppdet.data", "ppdet.modeling", "ppdet.optimizer"):
        importlib.import_module(module)


def open_edited(folder: Path, edits: Sequence[Edit]) -> None:
    """Let modules be imported from a folder, those that edits name from their edited source."""
    sys.path.insert(0, str(folder))
    sys.meta_path.insert(0, _EditingFinder(folder, edits))
    do_without_unused()


def do_without_unused() -> None:
    """Let an empty package stand in for each of UNUSED that is not installed: every name in it is an empty class."""
    sys.meta_path.append(_EmptyPackages())


def read_config(checkout: Path, row: str) -> Any:
    """Return the configuration of a published row.

    PaddleDetection merges every file that it reads into one configuration of the process, so that a process may read one only.
    """
    from ppdet.core.workspace import load_config

    (file,) = (checkout / "configs").glob(f"*/{row}.yml")
    return load_config(str(file))


def make_model(config: Any, seed: str, aligned: bool = True) -> Any:
    """Return a network with the rule-made weights of a seed; it samples its targets in order, not at random."""
    from ppdet.core.workspace import create

    config["RPNHead"]["rpn_target_assign"]["use_random"] = False
    config["BBoxAssigner"]["use_random"] = False
    model = create(config.architecture)
    for head in (model.bbox_head, model.mask_head):
        head.roi_extractor.aligned &= aligned
    weights = {name: rule_weights(name, tuple(value.shape), seed) for name, value in model.state_dict().items()}
    missing, unexpected = model.set_state_dict(weights)
    if missing or unexpected:
        sys.exit(f"the rule-made weights do not fit the network: missing {missing}, unexpected {unexpected}")
    return model


def listen(owner: Any, path: str, heard: list[Any] | None = None) -> list[Any]:
    """Return a list that grows by every result of a layer or a callable object, named by its dotted path from `owner`.

    Several may be listened to with one list: give that of the first, `heard`.
    """
    import paddle

    *way, name = path.split(".")
    owner = functools.reduce(getattr, way, owner)
    heard = [] if heard is None else heard
    part = getattr(owner, name)
    if isinstance(part, paddle.nn.Layer):
        part.register_forward_post_hook(lambda layer, inputs, result: heard.append(result))
    else:
        setattr(owner, name, _Overheard(part, heard))
    return heard


class _Overheard:
    """Stands before a callable object and keeps what it returns."""

    def __init__(self, part: Any, heard: list[Any]) -> None:
        self._part, self._heard = part, heard

    def __getattr__(self, name: str) -> Any:
        return getattr(self._part, name)

    def __call__(self, *args: Any, **options: Any) -> Any:
        self._heard.append(self._part(*args, **options))
        return self._heard[-1]


class _EditingFinder(MetaPathFinder):
    """Comes first: finds the modules that edits name."""

    def __init__(self, folder: Path, edits: Sequence[Edit]) -> None:
        self.folder, self.edits = folder, edits

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        edits = [edit for edit in self.edits if edit.module == fullname]
        if not edits:
            return None
        file = self.folder.joinpath(*fullname.split(".")).with_suffix(".py")
        return importlib.util.spec_from_file_location(fullname, file, loader=_EditingLoader(fullname, file, edits))


class _EditingLoader(SourceFileLoader):
    """Compiles a module from its edited source, past the cache."""

    def __init__(self, fullname: str, file: Path, edits: Sequence[Edit]) -> None:
        super().__init__(fullname, str(file))
        self.edits = edits

    def get_code(self, fullname: str) -> Any:
        source = Path(self.path).read_text(encoding="utf-8")
        for edit in self.edits:
            found = source.count(edit.old)
            if found != edit.times:
                raise ImportError(f"{self.path} has {edit.old!r} {found} times, expected {edit.times}: check out {COMMIT}")
            source = source.replace(edit.old, edit.new)
        return compile(source, self.path, "exec", dont_inherit=True)


class _EmptyPackages(MetaPathFinder, Loader):
    """Comes last, when nothing else has found a package."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        return ModuleSpec(fullname, self, is_package=True) if fullname.split(".")[0] in UNUSED else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _EmptyModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Leave the module empty."""


class _EmptyModule(ModuleType):
    """Every name in it is an empty class."""

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})
