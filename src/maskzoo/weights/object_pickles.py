"""Pickles of checkpoints that hold objects beside tensors, walked as data.

PyTorch's checkpoints contain optimisers, settings and objects of the toolkit that wrote them. Nothing is imported or
called for them: an object of any class comes as `Opaque`, its class's name with what the file says it holds. Tensors come
as `StoredTensor`, which says where in the file their numbers are. Names of the operating system and of Python's own
machinery, which no checkpoint needs, are refused, although they would do nothing here either.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from maskzoo.errors import WeightsError
from maskzoo.weights.pickles import ACTIONS, GLOBALS, Machine, Stored, Symbol, name_kind, run_machine, to_text

__all__ = ["Opaque", "Storage", "StoredTensor", "read_objects"]

LONGEST_NUMBER = 16  # bytes: the old form of torch's files begins with a number of 10
STEPS = 10_000_000
# Packages of names that are refused, but for the few harmless ones of Python's own.
_NEVER = frozenset({
    *("__builtin__", "_io", "_pickle", "asyncio", "builtins", "cPickle", "code", "codeop", "commands", "ctypes", "ftplib"),
    *("http", "httplib", "importlib", "io", "marshal"),
    *("multiprocessing", "nt", "os", "pickle", "pip", "platform", "posix", "pty", "requests", "runpy", "shutil", "signal"),
    *("smtplib", "socket", "subprocess", "sys", "thread", "threading", "urllib", "urllib2", "webbrowser"),
})  # fmt: skip
_HARMLESS = frozenset({
    *("bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "getattr", "int", "list", "object", "range"),
    *("set", "slice", "str", "tuple", "type"),
})  # fmt: skip
_DICTS = frozenset({"collections OrderedDict", "collections Counter", "collections defaultdict"})
_PARAMETERS = frozenset({"torch._utils _rebuild_parameter", "torch._utils _rebuild_parameter_with_state"})
_TENSORS = frozenset({"torch._utils _rebuild_tensor", "torch._utils _rebuild_tensor_v2"})


@dataclass(slots=True, eq=False)
class Opaque:
    """An object of some class: `name` is the class's, module first; `values` what it was made of, `state` what it holds."""

    name: str
    values: Any = ()
    state: Any = None
    items: list[Any] = field(default_factory=list)
    entries: dict[Any, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Storage:
    """A block of `count` numbers of the file under a `key`; `kind` is torch's name of their type, such as `Float`.

    `start` is where a view of it begins, in numbers.
    """

    key: str
    kind: str
    count: int
    start: int = 0


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor: the numbers of a storage from `offset` on, `shape` and `strides` in numbers."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_objects(data: bytes | mmap.mmap, position: int = 0, *, whole: bool = True) -> tuple[Any, int]:
    """Return what a pickle that begins at `position` describes, and where it ends.

    Dicts, lists, tuples, text and numbers come as such, arrays as `Stored`, tensors as `StoredTensor`, the rest as
    `Opaque`. With `whole` the data must end with it. Raises WeightsError (without the file's name) for anything else.
    """
    machine = _ObjectMachine(data, position, whole)
    return run_machine(machine), machine.position


class _ObjectMachine(Machine):
    """The pickle machine with stand-ins for whatever is not plain."""

    max_steps, longest = STEPS, LONGEST_NUMBER

    def __init__(self, data: bytes | mmap.mmap, position: int, whole: bool) -> None:
        super().__init__(data)
        self.position, self.whole = position, whole
        self.actions = ACTIONS | _MORE_ACTIONS

    def finish(self) -> Any:
        value = self.pop()
        if self.stack or self.marks or (self.whole and self.position != len(self.data)):
            raise self.damage("it ends here, with data left over")
        return value

    def extend(self, values: list[Any]) -> None:
        if isinstance(target := self.top(), Opaque):
            target.items.extend(values)
        else:
            super().extend(values)

    def set_items(self, values: list[Any]) -> None:
        target = self.top()
        entries = target.entries if isinstance(target, Opaque) else target
        if type(entries) is not dict:
            raise self.damage(f"found {name_kind(target)}, expected a dict")
        for key, value in zip(values[::2], values[1::2], strict=True):
            key = to_text(key) if isinstance(key, str | bytes | memoryview) else key
            try:
                repeated = key in entries
            except TypeError:
                raise self.damage(f"{name_kind(key)} as the key of a dict") from None
            if repeated:
                raise self.damage(f"there are two entries {key!r:.80}")
            entries[key] = value

    def name_global(self, module: Any, name: Any) -> None:
        module, name = to_text(module), to_text(name)
        if module.split(".")[0] in _NEVER and name.split(".")[0] not in _HARMLESS:
            full = f"{module} {name}"[:100]
            raise WeightsError(
                f"refers to {full!r}, which no checkpoint needs; the file may be hostile: nothing of it was run; do not open "
                "it with other tools"
            )
        self.push(GLOBALS.get(f"{module} {name}") or Opaque(f"{module} {name}"))

    def reduce(self) -> None:
        called, arguments = self.pop_many(2)
        if type(arguments) is not tuple or not isinstance(called, Symbol | Opaque):
            raise self.damage(f"a call of {name_kind(called)}")
        self.push(self.call(called, arguments))

    def call(self, called: Symbol | Opaque, arguments: tuple[Any, ...]) -> Any:
        if called is Symbol.DICT:
            return {}
        if isinstance(called, Symbol):
            try:
                return self.interpret(called, arguments)
            except WeightsError:
                return Opaque(called.name.lower(), arguments)  # an array of objects, say
        match called.name, arguments:
            case name, (dict() as content,) if name in _DICTS:
                return content
            case name, _ if name in _DICTS:
                return {}
            case name, (Storage() as storage, offset, shape, strides, *_) if name in _TENSORS:
                return self.describe_tensor(storage, offset, shape, strides)
            case name, (StoredTensor() as tensor, *_) if name in _PARAMETERS:
                return tensor
            case "torch._tensor _rebuild_from_type_v2", (Opaque() | Symbol() as function, _, tuple() as values, *_):
                return self.call(function, values)
            case "torch._utils _rebuild_device_tensor_from_numpy", (Stored() as array, *_):
                return array
            case "torch Size", (tuple() as size,):
                return size
            case "copyreg _reconstructor" | "copy_reg _reconstructor", (Opaque() as kind, *_):
                return Opaque(kind.name)
        return Opaque(called.name, arguments)

    def describe_tensor(self, storage: Storage, offset: Any, shape: Any, strides: Any) -> StoredTensor:
        numbers = (offset, *shape, *strides) if type(shape) is tuple and type(strides) is tuple else (None,)
        if not all(type(number) is int and 0 <= number < 1 << 62 for number in numbers) or len(shape) != len(strides):
            raise self.damage("a tensor whose shape or strides are not sizes")
        return StoredTensor(storage, offset, shape, strides)

    def build(self) -> None:
        state, target = self.pop(), self.top()
        if isinstance(target, Opaque):
            target.state = state
        elif type(target) is dict:
            pass  # attributes of an OrderedDict, such as torch's versions of modules
        else:
            self.push(state)
            super().build()

    def name_dtype(self, code: str) -> Any:
        try:
            return super().name_dtype(code)
        except WeightsError:
            return Opaque(f"numpy dtype {code:.40}")

    def make_object(self, count: int) -> None:
        kind, *arguments = self.pop_many(count)
        self.push(Opaque(kind.name if isinstance(kind, Opaque) else name_kind(kind), tuple(arguments)))

    def make_old_object(self) -> None:
        kind, *arguments = self.pop_to_mark() or [None]
        self.push(Opaque(kind.name if isinstance(kind, Opaque) else name_kind(kind), tuple(arguments)))

    def make_instance(self) -> None:
        name = f"{to_text(self.line())} {to_text(self.line())}"
        self.push(Opaque(name, tuple(self.pop_to_mark())))

    def make_set(self) -> None:
        self.push(Opaque("builtins frozenset", tuple(self.pop_to_mark())))

    def name_storage(self) -> None:
        """Read torch's reference to a block of numbers: ("storage", class, key, place, count), in old files also a view."""
        match self.pop():
            case ("storage", Opaque() as kind, str() | bytes() | memoryview() as key, _, int() as count, *view) if count >= 0:
                start = 0
                match view:
                    case [] | [None]:
                        pass
                    case [(_, int() as start, int() as count)] if start >= 0 and count >= 0:
                        pass
                    case _:
                        raise self.damage("a storage with an impossible view")
                name = kind.name.split(" ")[-1].removesuffix("Storage")
                self.push(Storage(to_text(key), name, count, start))
            case ("module", Opaque() as kind, *_):  # a class, with its program's text, which is not looked at
                self.push(kind)
            case value:
                self.push(Opaque("a reference", value))


_MORE_ACTIONS: dict[bytes, Callable[[Any], None]] = {
    b"Q": lambda m: m.name_storage(),
    b"\x81": lambda m: m.make_object(2),
    b"\x92": lambda m: m.make_object(3),
    b"o": lambda m: m.make_old_object(),
    b"i": lambda m: m.make_instance(),
    b"\x8f": lambda m: m.push(Opaque("builtins set")),
    b"\x90": lambda m: m.extend(m.pop_to_mark()),
    b"\x91": lambda m: m.make_set(),
    b"0": lambda m: m.pop(),
    b"1": lambda m: m.pop_to_mark(),
    b"2": lambda m: m.push(m.top()),
}
