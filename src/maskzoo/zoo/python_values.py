"""What a file in Python assigns, read as plain values: nothing in it runs."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from maskzoo.errors import ConfigError

__all__ = ["MAX_VALUES", "Unread", "copy_plain", "find_unread", "read_assignments"]

MAX_VALUES = 200_000  # aliases and sums can make a small file large
LARGEST = 10**300  # of a whole number that is computed
_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}


@dataclass(frozen=True, slots=True)
class Unread:
    """What is no plain value: the text of the file, and where."""

    text: str
    place: str

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


def read_assignments(text: str, origin: str) -> dict[str, Any]:
    """Read the text of a Python config: each name with its value, `_base_` among them; `origin` is named in errors.

    Numbers, texts, lists, dicts, `dict(...)`, sums and products of them, and earlier names are values; all else comes as
    `Unread`, under its line if it has no name.

    Raises:
        ConfigError: It is not Python.
    """
    left = [MAX_VALUES]
    try:
        values = _read_statements(ast.parse(text).body, origin, [MAX_VALUES])
        return {name: copy_plain(value, origin, left) for name, value in values.items()}
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ConfigError(f"{origin}: not a config in Python: {str(error) or type(error).__name__}") from None


def _read_statements(body: Sequence[ast.stmt], origin: str, left: list[int]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for statement in body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) | ast.AnnAssign(target=ast.Name(id=name), value=value):
                values[name] = None if value is None else _evaluate(value, values, origin, left)
            case ast.Expr(value=ast.Constant()) | ast.Pass():
                pass
            case _:
                values[f"line {statement.lineno}"] = _leave(statement, origin)
    return values


def find_unread(value: Any, place: str = "") -> list[tuple[str, Unread]]:
    """List what could not be read in a value, with where it stands: `model.backbone.depth`."""
    if isinstance(value, Unread):
        return [(place, value)]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, inner in items for found in find_unread(inner, f"{place}.{key}" if place else str(key))]


def copy_plain(value: Any, origin: str, left: list[int], decode: Callable[[str], Any] = str) -> Any:
    """Copy a value, so that it can be walked through in bounded time, however often parts of it stand in it."""
    left[0] -= 1
    if left[0] < 0:
        raise ConfigError(f"{origin}: holds more than {MAX_VALUES:,} values; a config has some hundreds")
    if isinstance(value, dict):
        return {key: copy_plain(inner, origin, left, decode) for key, inner in value.items()}
    if isinstance(value, list):
        return [copy_plain(inner, origin, left, decode) for inner in value]
    return decode(value) if isinstance(value, str) else value


def _leave(node: ast.AST, origin: str) -> Unread:
    text = " ".join(ast.unparse(node).split())
    return Unread(text if len(text) < 80 else text[:77] + "...", f"{origin}, line {getattr(node, 'lineno', '?')}")


def _evaluate(node: ast.expr, names: Mapping[str, Any], origin: str, left: list[int]) -> Any:
    """Return the value of an expression of plain values, tuples as lists; `Unread` for any other.

    `left` counts down how much sums may still make of the file's texts and lists.
    """

    def of(inner: ast.expr) -> Any:
        return _evaluate(inner, names, origin, left)

    match node:
        case ast.Constant(value=value) if isinstance(value, str | int | float | bool | None):
            return value
        case ast.Name(id=name) if name in names:
            return names[name]
        case ast.List(elts=elements) | ast.Tuple(elts=elements) | ast.Set(elts=elements):
            return [of(element) for element in elements]
        case ast.Dict(keys=keys, values=values):
            pairs = [(None if key is None else of(key), of(value)) for key, value in zip(keys, values, strict=True)]
            return _join(pairs, node, origin)
        case ast.Call(func=ast.Name(id="dict"), args=[], keywords=keywords):
            return _join([(keyword.arg, of(keyword.value)) for keyword in keywords], node, origin)
        case ast.Call(func=ast.Name(id="tuple" | "list"), args=[ast.expr() as inner], keywords=[]):
            value = of(inner)
            return value if isinstance(value, list) else _leave(node, origin)
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=inner):
            value = of(inner)
            if type(value) in (int, float):
                return -value if isinstance(sign, ast.USub) else value
        case ast.BinOp(left=one, op=sign, right=other) if type(sign) in _OPERATORS:
            result = _calculate(of(one), _OPERATORS[type(sign)], of(other), left)
            return _leave(node, origin) if result is None else result
        case ast.Subscript(value=inner, slice=index):
            value, key = of(inner), of(index)
            return _pick(value, key, node, origin)
        case ast.Attribute(value=inner, attr=key):
            return _pick(of(inner), key, node, origin)
    return _leave(node, origin)


def _join(pairs: Sequence[tuple[Any, Any]], node: ast.expr, origin: str) -> Any:
    """Make a dict of key and value; a key None stands for `**`."""
    made: dict[Any, Any] = {}
    for key, value in pairs:
        if key is None:
            if not isinstance(value, dict):
                return _leave(node, origin)
            made |= value
        elif isinstance(key, Hashable) and not isinstance(key, Unread):
            made[key] = value
        else:
            return _leave(node, origin)
    return made


def _calculate(one: Any, operation: Callable[[Any, Any], Any], other: Any, left: list[int]) -> Any:
    """Add, multiply and divide numbers, add lists and texts; None for all else, and for what grows too large."""
    if type(one) in (int, float) and type(other) in (int, float):
        try:
            number = operation(one, other)
        except ArithmeticError:
            return None
        return number if abs(number) < LARGEST or type(number) is float else None  # products of products soon fill a machine
    if operation is operator.add and type(one) is type(other) and type(one) in (list, str):
        left[0] -= len(one) + len(other)
        return one + other if left[0] >= 0 else None
    return None


def _pick(value: Any, key: Any, node: ast.expr, origin: str) -> Any:
    try:
        if isinstance(value, dict | list):
            return value[key]
    except (KeyError, IndexError, TypeError):
        pass
    return _leave(node, origin)
