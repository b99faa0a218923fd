"""The reference pages: the command line from the commands themselves, the Python API from the public names.

python tools/reference.py > tests/public_options.txt          the options of every verb, a line each
python tools/reference.py names > tests/public_names.txt      the signatures of the public names, a line each
"""

import inspect
import re
import sys
from collections.abc import Iterator
from enum import Enum
from typing import Any

import typer
from rich.text import Text

import maskzoo
from maskzoo.cli import app

TYPES = ("ModelConfig", "OnProgress")  # by a schema, and of a function: without a signature
COMMANDS_INTRODUCTION = """# The command line

Made from the commands by `make docs`; `maskzoo VERB --help` prints the same. What the exit codes mean stands in
[the conventions](conventions.md#errors-and-exit-codes).
"""
API_INTRODUCTION = """# The Python API

Every public name (made by `make docs`; `make docs-site` writes the docstrings under each). Whatever is not listed may change
at any time; what is listed keeps [the promise](compatibility.md). Errors are in
[the conventions](conventions.md#errors-and-exit-codes).
"""


def walk_commands() -> Iterator[tuple[str, Any]]:
    """Yield the words of each verb and its command, groups before what is in them."""
    waiting = [("maskzoo", typer.main.get_command(app))]
    while waiting:
        words, command = waiting.pop(0)
        yield words, command
        waiting[:0] = [(f"{words} {name}", verb) for name, verb in getattr(command, "commands", {}).items()]


def list_options() -> list[str]:
    """Return a line for each argument and option: the verb, its names, what it takes, and the default."""
    return [
        f"{words} {name_parameter(parameter)} = {tell_default(parameter)}"
        for words, command in walk_commands()
        for parameter in command.params
    ]


def list_signatures() -> list[str]:
    """Return a line for each public function, class and public method."""
    public = {name: getattr(maskzoo, name) for name in maskzoo.__all__ if name not in TYPES}
    return [line for name, value in public.items() if not is_plain_error(value) for line in tell_signatures(name, value)]


def is_plain_error(value: Any) -> bool:
    """Whether it is an error that takes a message and nothing else."""
    return inspect.isclass(value) and issubclass(value, Exception) and "__init__" not in vars(value)


def tell_signatures(name: str, value: Any) -> Iterator[str]:
    yield f"{name}{tell_signature(value)}"
    for method, function in sorted(vars(value).items()) if inspect.isclass(value) else ():
        if inspect.isfunction(function) and not method.startswith("_"):
            yield f"{name}.{method}{tell_signature(function)}"


def tell_signature(value: Any) -> str:
    text = str(inspect.signature(value)).replace("<factory>", "...")
    text = re.sub(r"""(: |-> )(?:'([^']*)'|"([^"]*)")""", r"\1\2\3", text)  # annotations are texts
    return re.sub(r"<function ([\w.<>]+) at 0x\w+>", r"\1", text)


def tell_commands() -> str:
    """Return the page of the command line."""
    return COMMANDS_INTRODUCTION + "".join(tell_command(words, command) for words, command in walk_commands())


def tell_command(words: str, command: Any) -> str:
    text = f"\n## {words}\n\n```text\n{inspect.cleandoc(command.help or '')}\n```\n"
    rows = [
        f"| `{escape(name_parameter(each))}` | {escape(tell_default(each))} | {escape(tell_help(each))} |"
        for each in command.params
    ]
    return text + "\n".join(["", "| | default | |", "|---|---|---|", *rows, ""]) if rows else text


def tell_help(parameter: Any) -> str:
    return Text.from_markup(parameter.help or "").plain


def name_parameter(parameter: Any) -> str:
    names = "/".join([*parameter.opts, *parameter.secondary_opts])
    if not names.startswith("-"):
        return parameter.metavar or names.upper()
    flag = getattr(parameter, "is_flag", False)
    return names if flag else f"{names} {parameter.metavar or parameter.name.upper()}"


def tell_default(parameter: Any) -> str:
    default = parameter.default
    if parameter.required:
        return "required"
    if default is None or default is False or default in ((), []) or callable(default):
        return "-"
    return str(default.value if isinstance(default, Enum) else default)


def escape(text: str) -> str:
    """Return a text as one cell of a table."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;").replace("[", "\\[")


def tell_api() -> str:
    """Return the page of the API, on which mkdocstrings writes the docstrings."""
    public = {name: getattr(maskzoo, name) for name in maskzoo.__all__}
    functions = [name for name, value in public.items() if inspect.isfunction(value)]
    classes = [name for name, value in public.items() if inspect.isclass(value) and not issubclass(value, Exception)]
    groups = {"Functions": functions, "Classes": classes}
    return API_INTRODUCTION + "".join(
        f"\n## {title}\n" + "".join(f"\n::: maskzoo.{name}\n" for name in sorted(names)) for title, names in groups.items()
    )


if __name__ == "__main__":
    print("\n".join(list_signatures() if sys.argv[1:] == ["names"] else list_options()))
