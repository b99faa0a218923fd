"""`maskzoo data check`: all that is wrong with a data set, at once, and a cleaned copy of its annotations."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from maskzoo.cli.terminal import open_stderr, open_stdout, print_json
from maskzoo.errors import ConfigError
from maskzoo.files import check_folder, explained, is_taken, make_folder, write_file

if TYPE_CHECKING:
    from maskzoo.data.checking import Report
    from maskzoo.data.fixing import Fixed

__all__ = ["check"]

SHOWN, EACH = 20, 4  # problems in the list at the end, and of one kind
STYLES = {"error": "bold red", "warning": "yellow", "notice": "blue"}


def check(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A COCO instances file (JSON), or a data set's folder.")],
    images: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The images' folder, or one with a folder for each split.")
    ] = None,
    fix: Annotated[
        Path | None,
        typer.Option(metavar="OUT", help="Write cleaned annotations to this new file, or folder for several splits."),
    ] = None,
    page: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Write a page with pictures of the worst problems.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="List all problems, not only the worst.")] = False,
    no_duplicates: Annotated[
        bool, typer.Option("--no-duplicates", help="Do not look for the same picture in two splits.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
) -> None:
    """Find everything that is wrong with a data set before it trains.

    Looks at all splits of DATA, their annotations and every image. An error
    would stop training or make it wrong: the exit code is 3 then. A warning is
    left out by training, or looks suspicious.

    Your files are never changed. --fix writes a cleaned copy of the annotations:
    it repairs what leaves nothing to guess, drops the rest and counts both.

    Examples:
      maskzoo data check dataset
      maskzoo data check val.json --images photos --page report.html
      maskzoo data check dataset --fix cleaned
    """
    from maskzoo.data.checking import check_data
    from maskzoo.data.fixing import fix_data
    from maskzoo.data.layout import find_splits

    splits = find_splits(data)
    targets = _plan_fix(fix, splits)
    _check_page(page)
    report = _run(lambda progress: check_data(splits, images=images, duplicates=not no_duplicates, progress=progress))
    if page is not None:
        from maskzoo.data.check_page import render_page

        write_file(page, render_page(report).encode("utf-8"))
    fixed = _write_fixed(fix_data(report), targets) if fix is not None and report.splits else {}
    if json:
        print_json({"data": str(data), **report.to_dict(), "fixed": _to_json(fixed, targets), "page": page and str(page)})
    else:
        _print_report(report, data, every)
        _print_fixed(fixed, targets, fix)
        if page is not None:
            open_stdout().print(f"Wrote {page}", soft_wrap=True)
    if report.errors:
        raise typer.Exit(3)


def _plan_fix(out: Path | None, splits: Mapping[str, Path]) -> dict[str, Path]:
    """Return the file that each split's cleaned annotations go to. Raises ConfigError if one is there already."""
    if out is None:
        return {}
    with explained(out, ConfigError):
        file = out.suffix.lower() == ".json" and not out.is_dir()
    if file and len(splits) > 1:
        raise ConfigError(f"{out}: there are {len(splits)} splits, {', '.join(splits)}; expected a folder for --fix")
    targets = {split: out if file else out / f"{split}.json" for split in splits}
    for target in targets.values():
        check_folder(target.parent)
        if os.path.lexists(target):
            raise ConfigError(f"{target}: exists already; expected a new file, none is overwritten; choose another --fix")
    return targets


def _check_page(page: Path | None) -> None:
    """Refuse to overwrite anything but a page of an earlier check."""
    if page is None:
        return
    if page.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"{page}: expected a name that ends in .html for --page")
    from maskzoo.data.check_page import MARK

    check_folder(page.parent)
    if is_taken(page, MARK.encode()):
        raise ConfigError(f"{page}: exists already and is no page of an earlier check; choose another --page")


def _run(call: Any) -> Report:
    console = open_stderr()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("Reading annotations", total=None)
        stage = ""

        def show(name: str, done: int, total: int) -> None:
            nonlocal stage
            if name != stage:
                stage = name
                progress.reset(task, description=name, total=total)
            progress.update(task, completed=done)

        report: Report = call(show)
        return report


def _write_fixed(fixed: dict[str, Fixed], targets: Mapping[str, Path]) -> dict[str, Fixed]:
    from maskzoo.data.writing import encode_json

    texts = {targets[split]: encode_json(part.data, targets[split]) for split, part in fixed.items()}
    for target, text in texts.items():
        make_folder(target.parent)
        write_file(target, text)
    return fixed


def _to_json(fixed: dict[str, Fixed], targets: Mapping[str, Path]) -> dict[str, Any] | None:
    if not targets:
        return None
    return {
        split: {
            "file": str(targets[split]),
            "changes": dict(part.changes),
            "left": [problem.to_dict() for problem in part.left],
        }
        for split, part in fixed.items()
    }


def _print_report(report: Report, data: Path, every: bool) -> None:
    from maskzoo.data.problems import choose_worst

    console = open_stdout()
    for split, facts in report.splits.items():
        numbers = f"{facts.images:,} images, {facts.objects:,} objects, {facts.categories:,} categories"
        folder = "images not found" if facts.folder is None else f"images in {facts.folder}"
        console.print(_clean(f"{split}: {facts.file}: {numbers}; {folder}"), soft_wrap=True)
    if not report.problems:
        console.print("Nothing to complain about.", style="green")
        return
    console.print()
    console.print(_tabulate(report))
    total = len(report.problems)
    chosen = choose_worst(report.problems, total if every else SHOWN, total if every else EACH)
    console.print()
    if len(chosen) < total:
        console.print(f"The worst {len(chosen)} of {total:,} (--all lists all):")
    for problem in chosen:
        text = Text.assemble((f"{problem.severity}: ", STYLES[problem.severity]), _clean(str(problem)))
        console.print(text, soft_wrap=True)
    console.print()
    console.print(_clean(_conclude(report, data)), soft_wrap=True)


def _clean(text: str) -> str:
    from maskzoo.data.problems import make_printable

    return make_printable(text)


def _tabulate(report: Report) -> Table:
    from maskzoo.data.problems import KINDS

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("severity", no_wrap=True)
    table.add_column("kind", ratio=3)
    table.add_column("count", justify="right", no_wrap=True)
    table.add_column("first", ratio=2)
    table.add_column("what to do", ratio=4)
    first = {problem.kind: problem for problem in reversed(report.problems)}
    for kind, count in report.count().items():
        severity, place = KINDS[kind].severity, first[kind]
        where = _clean(" ".join(part for part in (place.split, place.row) if part))
        table.add_row(Text(severity, STYLES[severity]), KINDS[kind].title, f"{count:,}", where, KINDS[kind].advice)
    return table


def _conclude(report: Report, data: Path) -> str:
    severities = Counter(problem.severity for problem in report.problems)
    errors, warnings = _count(severities["error"], "error"), _count(severities["warning"], "warning")
    if severities["error"]:
        return f"{errors}, {warnings}. Correct the errors, or write a cleaned copy: maskzoo data check {data} --fix OUT"
    return f"No errors, {warnings}. It can be trained on."


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _print_fixed(fixed: dict[str, Fixed], targets: Mapping[str, Path], out: Path | None) -> None:
    console = open_stdout()
    for split, part in fixed.items():
        console.print()
        console.print(f"Wrote {targets[split]}: {_count(part.changes.total(), 'change')}", soft_wrap=True)
        for change, count in part.changes.most_common():
            console.print(f"  {count:,} x {change}", soft_wrap=True)
        for problem in part.left:
            text = Text.assemble(("left to you: ", "bold red"), _clean(str(problem)))
            console.print(text, soft_wrap=True)
    if fixed:
        console.print(f"Check it with its images: maskzoo data check {out} --images DIR", soft_wrap=True)
