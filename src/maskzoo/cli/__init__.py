"""The command line, one file per verb: parse, call, print.

Exit codes: 0 done, 1 an error that says what to do, 2 a wrong call, 3 some images could not be read, or `verify` found
a difference, 130 Ctrl-C, 143 SIGTERM.
Whatever is slow to import (torch, OpenCV) is imported inside the verb that needs it, so that help appears at once.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from maskzoo.cli.bench import bench
from maskzoo.cli.compare import compare
from maskzoo.cli.convert import convert
from maskzoo.cli.data import app as data_app
from maskzoo.cli.demo import demo
from maskzoo.cli.doctor import doctor
from maskzoo.cli.evaluate import evaluate
from maskzoo.cli.export import export
from maskzoo.cli.hub import pull_model, push_model
from maskzoo.cli.models import app as models_app
from maskzoo.cli.next_step import list_next_steps
from maskzoo.cli.predict import predict
from maskzoo.cli.serve import serve
from maskzoo.cli.terminal import open_stderr, print_error
from maskzoo.cli.train import train
from maskzoo.cli.verify import verify
from maskzoo.errors import ArgumentError, MaskzooError
from maskzoo.system.machine import name_own_version

__all__ = ["app", "main"]

app = typer.Typer(
    name="maskzoo",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("predict", no_args_is_help=True)(predict)
app.command("train", no_args_is_help=True)(train)
app.command("eval", no_args_is_help=True)(evaluate)
app.command("compare", no_args_is_help=True)(compare)
app.add_typer(data_app, name="data")
app.add_typer(models_app, name="models")
app.command("convert", no_args_is_help=True)(convert)
app.command("export", no_args_is_help=True)(export)
app.command("verify", no_args_is_help=True)(verify)
app.command("serve", no_args_is_help=True)(serve)
app.command("push", no_args_is_help=True)(push_model)
app.command("pull", no_args_is_help=True)(pull_model)
app.command("doctor")(doctor)
app.command("demo")(demo)
app.command("bench", no_args_is_help=True)(bench)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"maskzoo {name_own_version()}")
        raise typer.Exit


@app.callback()
def _start(
    context: typer.Context,
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Find the objects in images with Mask R-CNN: published networks, safe weights, one command.

    Begin with:
      maskzoo demo
      maskzoo models
      maskzoo predict mask_rcnn_r50_fpn_1x_coco photo.jpg

    More about a verb: maskzoo VERB --help
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        if steps := list_next_steps(Path()):
            typer.echo("\n".join(["", "Next, in this folder:", *steps]))


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit; `arguments` are those of the process unless given."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file's name may not be text in this terminal's encoding
    code: int | str | None = 0
    received: list[int] = []
    try:
        with _softened_sigterm(received):
            app(arguments, prog_name="maskzoo")
    except SystemExit as end:
        code = end.code
    except KeyboardInterrupt:  # before the verb has begun
        code = 128 + signal.SIGINT
    except MaskzooError as error:
        print_error(error)
        code = 2 if isinstance(error, ArgumentError) else 1
        if code == 2:
            verb = _name_verb(sys.argv[1:] if arguments is None else arguments)
            open_stderr().print(f"Usage: {verb} --help", soft_wrap=True)
    except Exception as error:
        if not received and "KeyboardInterrupt: <EMPTY MESSAGE>" not in str(error):
            raise
        code = 128 + signal.SIGINT  # it came while C++, which makes another error of it, called Python
    code = 128 + received[0] if received else code
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # the reader (`| head`) has gone; let the flush at exit find an open file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code)


@contextmanager
def _softened_sigterm(received: list[int]) -> Iterator[None]:
    """Let SIGTERM end a verb as Ctrl-C does, so that nothing half written and no temporary folder is left, and add it to
    `received`. A second one ends the process at once."""

    def interrupt(number: int, frame: object) -> None:
        received.append(number)
        signal.signal(number, signal.SIG_DFL)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def _name_verb(arguments: Sequence[str]) -> str:
    """Return the command without its arguments: "maskzoo data split"."""
    words, command = ["maskzoo"], typer.main.get_command(app)
    for word in arguments:
        if word not in getattr(command, "commands", {}):
            break
        command = command.commands[word]  # type: ignore[attr-defined]
        words.append(word)
    return " ".join(words)
