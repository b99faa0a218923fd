"""`maskzoo doctor`: what this machine has, how good that is, and what to do about it."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from maskzoo.cli.terminal import open_stdout, print_json
from maskzoo.errors import count_words

__all__ = ["doctor"]

STYLES = {"ok": "green", "hint": "yellow", "problem": "bold red"}


def doctor(json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a list.")] = False) -> None:
    """Show what this machine has for the work, and what to do about it.

    Versions, processor, threads, memory, GPUs, backends, allocator, cache. A
    problem makes the work fail or much slower, and the exit code 1; a hint may
    make it faster.

    Examples:
      maskzoo doctor
      maskzoo doctor --json
    """
    from maskzoo.doctor import diagnose

    diagnosis = diagnose()
    if json:
        print_json(diagnosis.to_dict())
    else:
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_column(no_wrap=True)
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        for finding in diagnosis.findings:
            table.add_row(finding.judgement, finding.topic, finding.found, style=STYLES[finding.judgement])
            if finding.advice:
                table.add_row("", "", f"-> {finding.advice}")
        console = open_stdout()
        console.print(table)
        console.print("\n" + ", ".join(count_words(diagnosis.count(word), word) for word in ("problem", "hint")))
    if diagnosis.count("problem"):
        raise typer.Exit(1)
