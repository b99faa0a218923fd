"""`maskzoo doctor`: what this machine has, how good that is, and what to do about it."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from maskzoo.cli.terminal import open_stdout, print_json

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
    from maskzoo.system.files import home
    from maskzoo.system.memory import find_allocator, keep_freed_memory

    findings = diagnose(home(), find_allocator(), keep_freed_memory())
    counts = Counter(finding.judgement for finding in findings)
    if json:
        print_json({"problems": counts["problem"], "findings": [asdict(finding) for finding in findings]})
    else:
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_column(no_wrap=True)
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        for finding in findings:
            table.add_row(finding.judgement, finding.topic, finding.found, style=STYLES[finding.judgement])
            if finding.advice:
                table.add_row("", "", f"-> {finding.advice}")
        console = open_stdout()
        console.print(table)
        console.print(f"\n{counts['problem']} problems, {counts['hint']} hints")
    if counts["problem"]:
        raise typer.Exit(1)
