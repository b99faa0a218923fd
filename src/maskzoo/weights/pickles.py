"""Pickles of arrays, walked as data.

A pickle is a program. Python's own unpickler, even with a restricted `find_class`, calls what the file names and
allocates what it claims. This module knows the few opcodes and the few names that NumPy and Paddle write, gives each a
fixed meaning, calls nothing, and refuses everything else. It runs over 300 lines because opcodes are many, not deep.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskzoo.errors import WeightsError

__all__ = [
    "ACTIONS",
    "AGAIN",
    "GLOBALS",
    "MAX_AXES",
    "Machine",
    "Stored",
    "Symbol",
    "name_kind",
    "read_pickle",
    "run_machine",
    "to_text",
    "widen",
]

MAX_STEPS = 1_000_000  # the published files take about 20,000
MAX_NAME = 1000
MAX_AXES = 9  # as many as a Paddle tensor may have
DTYPES = frozenset({"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"})
AGAIN = "delete it and fetch or copy it again"


@dataclass(slots=True, eq=False)
class Stored:
    """An array of the file: made empty, filled once. `value` is a read-only view of the file's bytes."""

    value: NDArray[Any] | None = None


def read_pickle(data: bytes) -> Any:
    """Return the plain values (dict, list, tuple, text, numbers, Stored arrays) that a pickle describes.

    Protocols 0 to 5, written under Python 2 or 3. Keys of a dict are text, each once. Python 2's str comes as bytes or
    memoryview. Raises WeightsError (without the file's name) for anything else, whatever the bytes.
    """
    return run_machine(Machine(data))


def run_machine(machine: Machine) -> Any:
    """Return what the machine's pickle describes. Raises WeightsError alone, whatever the bytes."""
    try:
        return machine.run()
    except MemoryError:
        machine.stack.clear()  # what was built so far: the message needs memory too
        machine.memo.clear()
        raise WeightsError(f"needs more memory than there is (MemoryError), for a file of {len(machine.data)} bytes") from None
    except (ValueError, OverflowError, RecursionError) as error:
        raise machine.damage(f"{type(error).__name__}: {error}"[:200]) from None


def to_text(value: Any) -> str:
    """Return a name of the file as text: Python 2 wrote names as bytes."""
    if not isinstance(value, str | bytes | memoryview) or len(value) > MAX_NAME:
        raise WeightsError(f"{name_kind(value)} found where a name of at most {MAX_NAME} letters is expected; {AGAIN}")
    return value if isinstance(value, str) else str(value, "latin1")


def name_kind(value: Any) -> str:
    """Name the kind of a value without showing it: it may be large, or contain itself."""
    names = {Stored: "an array", _DType: "an array's type", Symbol: "a global name", memoryview: "bytes"}
    return names.get(type(value), type(value).__name__)


def widen(array: NDArray[Any], *, bfloat16: bool = False) -> NDArray[Any]:
    """Return floating numbers as float32, others as they are, C-ordered and in this machine's byte order.

    `bfloat16` says that the array has the upper halves of float32 numbers.
    """
    if bfloat16:
        return np.asarray(array.astype(np.uint32, order="C") << 16).view(np.float32)
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite, which `rename` refuses by name
            return np.asarray(array, np.float32, order="C")
    return np.asarray(array, array.dtype.newbyteorder("="), order="C")


class Symbol(Enum):
    """What a global name in the file means here. None of them is the function of that name."""

    NDARRAY = auto()
    RECONSTRUCT = auto()
    FROMBUFFER = auto()
    SCALAR = auto()
    DTYPE = auto()
    ENCODE = auto()
    BYTES = auto()
    DICT = auto()
    TUPLE = auto()
    EVAL = auto()


GLOBALS = {  # NumPy 1 says numpy.core, NumPy 2 numpy._core; protocols 0 to 2 say __builtin__, later ones builtins
    "numpy ndarray": Symbol.NDARRAY,
    "numpy dtype": Symbol.DTYPE,
    "numpy.core.multiarray _reconstruct": Symbol.RECONSTRUCT,
    "numpy._core.multiarray _reconstruct": Symbol.RECONSTRUCT,
    "numpy.core.multiarray scalar": Symbol.SCALAR,
    "numpy._core.multiarray scalar": Symbol.SCALAR,
    "numpy.core.numeric _frombuffer": Symbol.FROMBUFFER,
    "numpy._core.numeric _frombuffer": Symbol.FROMBUFFER,
    "_codecs encode": Symbol.ENCODE,
    "__builtin__ bytes": Symbol.BYTES,
    "builtins bytes": Symbol.BYTES,
    "collections OrderedDict": Symbol.DICT,
    "__builtin__ tuple": Symbol.TUPLE,
    "builtins tuple": Symbol.TUPLE,
    "__builtin__ eval": Symbol.EVAL,
    "builtins eval": Symbol.EVAL,
}


@dataclass(slots=True, eq=False)
class _DType:
    code: str
    order: str | None = None


class Machine:
    """The part of the pickle machine that builds plain values and arrays: a stack, marks on it, and a memo."""

    max_steps = MAX_STEPS
    longest = 8  # bytes of a whole number

    def __init__(self, data: bytes | mmap.mmap) -> None:
        self.data = data
        self.view = memoryview(data)
        self.position = 0
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        # Every value is stored once; protocols 0 to 2 turn text into bytes first. A file that needs more is a bomb.
        self.budget = 2 * len(data)
        self.actions = ACTIONS

    def run(self) -> Any:
        for _ in range(self.max_steps):
            opcode = bytes(self.take(1))
            if opcode == b".":
                return self.finish()
            if opcode in _CONSTANTS:
                self.stack.append(_CONSTANTS[opcode])
            elif opcode in self.actions:
                self.actions[opcode](self)
            else:
                raise self.damage(f"found {opcode!r}, expected one of the opcodes that a file of arrays has")
        raise WeightsError(f"more than {self.max_steps} steps, far more than any weights file takes: do not use it")

    def finish(self) -> Any:
        value = self.pop()
        if self.stack or self.marks or self.position != len(self.data):
            raise self.damage("it ends here, with data left over")
        return value

    def damage(self, what: str) -> WeightsError:
        place = f"near byte {self.position} of {len(self.data)}"
        return WeightsError(f"damaged, or not a weights file, {place}: {what}; {AGAIN}")

    # bytes of the file

    def take(self, count: int) -> memoryview:
        if count < 0 or count > len(self.data) - self.position:
            raise WeightsError(f"cut short or damaged: {len(self.data)} bytes, and more must follow; {AGAIN}")
        self.position += count
        return self.view[self.position - count : self.position]

    def number(self, layout: str) -> Any:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def line(self) -> bytes:
        end = self.data.find(b"\n", self.position)
        text = bytes(self.take(end - self.position))  # negative without a line end: refused as cut short
        self.position += 1
        return text

    def text(self, layout: str) -> str:
        return str(self.take(self.number(layout)), "utf-8", "surrogatepass")

    def long(self, layout: str) -> int:
        raw = self.take(self.number(layout))
        if len(raw) > self.longest:
            raise self.damage(f"a whole number of {len(raw)} bytes")
        return int.from_bytes(raw, "little", signed=True)

    def skip_frame(self) -> None:
        length = self.number("<Q")
        self.take(length)  # a frame that goes beyond the end says at once that the file is cut short
        self.position -= length

    def check_protocol(self) -> None:
        if (protocol := self.number("<B")) > 5:
            raise WeightsError(f"pickle protocol {protocol}; expected 0 to 5: save it again with an older protocol")

    # the stack

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise self.damage("a value is missing")
        return self.stack.pop()

    def pop_many(self, count: int) -> tuple[Any, ...]:
        return tuple([self.pop() for _ in range(count)][::-1])

    def pop_to_mark(self) -> list[Any]:
        if not self.marks:
            raise self.damage("a mark is missing")
        start = self.marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def top(self) -> Any:
        value = self.pop()
        self.stack.append(value)
        return value

    def recall(self, key: int) -> None:
        if key not in self.memo:
            raise self.damage("it refers to a value that it does not hold")
        self.push(self.memo[key])

    def remember(self, key: int) -> None:
        self.memo[key] = self.top()

    # containers

    def extend(self, values: list[Any]) -> None:
        if type(target := self.top()) is not list:
            raise self.damage(f"found {name_kind(target)}, expected a list")
        target.extend(values)

    def set_items(self, values: list[Any]) -> None:
        if type(target := self.top()) is not dict:
            raise self.damage(f"found {name_kind(target)}, expected a dict")
        for key, value in zip(values[::2], values[1::2], strict=True):
            name = to_text(key)
            if name in target:
                raise self.damage(f"there are two entries {name!r}")
            target[name] = value

    def make_dict(self) -> None:
        values = self.pop_to_mark()
        self.push({})
        self.set_items(values)

    # names, and what the file does with them

    def name_global(self, module: Any, name: Any) -> None:
        full = f"{to_text(module)} {to_text(name)}"
        if full.startswith("torch"):
            raise WeightsError(
                f"holds PyTorch's objects ({full[:100]!r}), as checkpoints of other libraries do; expected Paddle weights "
                "(.pdparams): name a checkpoint of PyTorch .pth, and `maskzoo convert` it. Nothing of it was run"
            )
        if full not in GLOBALS:
            raise WeightsError(
                f"refers to {full[:100]!r}, which is not part of an array; expected arrays only. "
                "The file may be hostile: nothing of it was run; do not open it with other tools"
            )
        self.push(GLOBALS[full])

    def reduce(self) -> None:
        symbol, arguments = self.pop_many(2)
        if type(arguments) is not tuple or not isinstance(symbol, Symbol):
            raise self.damage(f"a call of {name_kind(symbol)}")
        self.push(self.interpret(symbol, arguments))

    def interpret(self, symbol: Symbol, arguments: tuple[Any, ...]) -> Any:
        match symbol, arguments:
            case Symbol.RECONSTRUCT, (Symbol.NDARRAY, (0,), kind) if to_text(kind) == "b":
                return Stored()
            case Symbol.DTYPE, (code, bool() | int(), bool() | int()):
                return self.name_dtype(to_text(code))
            case Symbol.FROMBUFFER, (raw, _DType() as dtype, shape, ("C" | "F") as order):
                return Stored(self.view_array(shape, dtype, order == "F", raw))
            case Symbol.SCALAR, (_DType() as dtype, raw):
                return Stored(self.view_array((), dtype, False, raw))
            case Symbol.ENCODE, (str() as text, "latin1"):
                self.spend(len(text))
                return text.encode("latin1")
            case Symbol.BYTES, ():
                return b""
            case Symbol.DICT, ():
                return {}
            case Symbol.TUPLE, ((name, Stored() as array),):  # Paddle's tensor outside a state dict: (name, array)
                return (to_text(name), array)
            case Symbol.EVAL, ("data", {"data": Stored() as array} as scope) if len(scope) == 1:
                return array  # how some Paddle versions wrap a tensor: the expression "data" where data is the array
        raise WeightsError(
            f"calls {symbol.name.lower()} with values that no array has; expected what NumPy and Paddle write. "
            "The file is damaged or hostile: nothing of it was run"
        )

    def build(self) -> None:
        state, target = self.pop(), self.top()
        match target, state:
            case _DType(order=None), (3, order, None, None, None, -1, -1, 0):
                target.order = to_text(order)
            case Stored(value=None), (1, shape, _DType() as dtype, bool() | int() as fortran, raw):
                target.value = self.view_array(shape, dtype, bool(fortran), raw)
            case _:
                raise self.damage(f"{name_kind(target)} has an impossible state")

    def name_dtype(self, code: str) -> _DType:
        if code not in DTYPES:
            raise WeightsError(f"holds an array of type {code[:40]!r}; expected one of {', '.join(sorted(DTYPES))}")
        return _DType(code)

    def view_array(self, shape: Any, dtype: _DType, fortran: bool, raw: Any) -> NDArray[Any]:
        if dtype.order not in ("<", ">", "|"):
            raise self.damage("an array whose byte order is not stated")
        if type(shape) is not tuple or len(shape) > MAX_AXES or not all(type(n) is int and n >= 0 for n in shape):
            raise self.damage("an array's shape is not a tuple of sizes")
        if not isinstance(raw, bytes | memoryview):
            raise WeightsError(f"holds an array whose values are {name_kind(raw)}; expected bytes")
        kind = np.dtype(dtype.order + dtype.code)
        if math.prod(shape) * kind.itemsize != len(raw):
            claim = " x ".join(str(side) for side in shape)[:80] or "one value"
            raise WeightsError(f"an array claims {claim} of {kind.name}, but holds {len(raw)} bytes; {AGAIN}")
        self.spend(len(raw))
        return np.ndarray(shape, kind, raw, order="F" if fortran else "C")

    def spend(self, count: int) -> None:
        self.budget -= count
        if self.budget < 0:
            raise WeightsError("its arrays would be larger than the file itself: damaged, or made to fill the memory")


_CONSTANTS: dict[bytes, Any] = {b"N": None, b"\x88": True, b"\x89": False, b")": ()}
ACTIONS: dict[bytes, Callable[[Machine], None]] = {
    b"\x80": lambda m: m.check_protocol(),
    b"\x95": lambda m: m.skip_frame(),
    # numbers; I00 and I01 are False and True of protocols 0 and 1
    b"I": lambda m: m.push(int(m.line())),
    b"L": lambda m: m.push(int(m.line().rstrip(b"L"))),
    b"K": lambda m: m.push(m.number("<B")),
    b"M": lambda m: m.push(m.number("<H")),
    b"J": lambda m: m.push(m.number("<i")),
    b"\x8a": lambda m: m.push(m.long("<B")),
    b"\x8b": lambda m: m.push(m.long("<i")),
    b"F": lambda m: m.push(float(m.line())),
    b"G": lambda m: m.push(m.number(">d")),
    # text
    b"V": lambda m: m.push(str(m.line(), "raw-unicode-escape")),
    b"X": lambda m: m.push(m.text("<I")),
    b"\x8c": lambda m: m.push(m.text("<B")),
    b"\x8d": lambda m: m.push(m.text("<Q")),
    # bytes; T and U are Python 2's str
    b"T": lambda m: m.push(m.take(m.number("<i"))),
    b"U": lambda m: m.push(m.take(m.number("<B"))),
    b"B": lambda m: m.push(m.take(m.number("<I"))),
    b"C": lambda m: m.push(m.take(m.number("<B"))),
    b"\x8e": lambda m: m.push(m.take(m.number("<Q"))),
    b"\x96": lambda m: m.push(m.take(m.number("<Q"))),
    # containers
    b"(": lambda m: m.marks.append(len(m.stack)),
    b"t": lambda m: m.push(tuple(m.pop_to_mark())),
    b"\x85": lambda m: m.push(m.pop_many(1)),
    b"\x86": lambda m: m.push(m.pop_many(2)),
    b"\x87": lambda m: m.push(m.pop_many(3)),
    b"]": lambda m: m.push([]),
    b"l": lambda m: m.push(m.pop_to_mark()),
    b"a": lambda m: m.extend([m.pop()]),
    b"e": lambda m: m.extend(m.pop_to_mark()),
    b"}": lambda m: m.push({}),
    b"d": lambda m: m.make_dict(),
    b"s": lambda m: m.set_items(list(m.pop_many(2))),
    b"u": lambda m: m.set_items(m.pop_to_mark()),
    # memo
    b"p": lambda m: m.remember(int(m.line())),
    b"q": lambda m: m.remember(m.number("<B")),
    b"r": lambda m: m.remember(m.number("<I")),
    b"\x94": lambda m: m.remember(len(m.memo)),
    b"g": lambda m: m.recall(int(m.line())),
    b"h": lambda m: m.recall(m.number("<B")),
    b"j": lambda m: m.recall(m.number("<I")),
    # names
    b"c": lambda m: m.name_global(m.line(), m.line()),
    b"\x93": lambda m: m.name_global(*m.pop_many(2)),
    b"R": lambda m: m.reduce(),
    b"b": lambda m: m.build(),
}
