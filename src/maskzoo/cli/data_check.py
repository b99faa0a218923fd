"""`maskzoo data check`: all that is wrong with a data set, at once, and a cleaned copy of its annotations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from maskzoo.cli.options import Classes
from maskzoo.cli.progress import show_progress
from maskzoo.cli.terminal import open_stdout, print_json, start_table
from maskzoo.errors import count_words
from maskzoo.faults import Fault, make_printable

if TYPE_CHECKING:
    from maskzoo.dataset_checks.judgement import Judgement
    from maskzoo.dataset_checks.report import DatasetReport

__all__ = ["check"]

SHOWN, EACH = 20, 4  # problems in the list at the end, and of one kind
STYLES = {"error": "bold red", "warning": "yellow", "notice": "blue"}


def check(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A COCO instances file (JSON), or a data set's folder.")],
    images: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The images' folder, or one with a folder for each split.")
    ] = None,
    classes: Classes = None,
    fix: Annotated[
        Path | None,
        typer.Option(metavar="OUT", help="Write cleaned annotations to this new file, or folder for several splits."),
    ] = None,
    crowds_as_objects: Annotated[
        bool, typer.Option("--crowds-as-objects", help="Make crowds objects in OUT, for sets drawn with a brush.")
    ] = False,
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

    Looks at all splits of DATA, their annotations and every image, and judges
    them as a whole: boxes that are corners, coordinates from 0 to 1. An error
    would stop training or make it wrong: the exit code is 3 then. A warning is
    left out by training, or looks suspicious.

    Your files are never changed. --fix writes a cleaned copy of the annotations:
    it repairs what outlines, image files and names prove, drops the rest, and
    shows what a check finds before and after.

    Examples:
      maskzoo data check dataset
      maskzoo data check val.json --images photos --page report.html
      maskzoo data check dataset --fix cleaned
    """
    from maskzoo.dataset_checks.check import check_dataset

    with show_progress() as show:
        report = check_dataset(
            data, images=images, classes=classes, duplicates=not no_duplicates, fix=fix, crowds_as_objects=crowds_as_objects,
            page=page, on_progress=show,
        )  # fmt: skip
    if json:
        print_json(report.to_dict())
    else:
        _print_report(report, data, every)
        _print_fixed(report)
        if page is not None:
            _print(f"Wrote {page}")
    if report.errors:
        raise typer.Exit(3)


def _print(text: str | Text) -> None:
    open_stdout().print(make_printable(text) if isinstance(text, str) else text, soft_wrap=True)


def _print_fault(fault: Fault, label: str, style: str) -> None:
    _print(Text.assemble((f"{label}: ", style), str(fault)))


def _print_judgement(judgement: Judgement) -> None:
    _print(Text.assemble((f"{judgement.severity}: ", STYLES[judgement.severity]), (str(judgement), "bold")))
    for example in judgement.examples:
        _print(f"  such as {example.name_row()}: {example.name_field()} {example.describe_found()}")
    _print(f"  {judgement.advise()}")
    _print("")


def _print_report(report: DatasetReport, data: Path, every: bool) -> None:
    from maskzoo.dataset_checks.codes import CODES, choose_worst

    for split, facts in report.splits.items():
        numbers = f"{facts.images:,} images, {facts.objects:,} objects, {facts.categories:,} categories"
        folder = "images not found" if facts.folder is None else f"images in {facts.folder}"
        _print(f"{split}: {facts.file}: {numbers}; {folder}")
    if not report.problems and not report.judgements:
        _print(Text("Nothing to complain about.", "green"))
        return
    _print("")
    for judgement in report.judgements:
        _print_judgement(judgement)
    if report.problems:
        open_stdout().print(_tabulate(report))
        _print("")
    total = len(report.problems)
    chosen = choose_worst(report.problems, total, total) if every else choose_worst(report.list_unexplained(), SHOWN, EACH)
    if not chosen and total:
        _print(f"All {total:,} problems of single rows follow from this (--all lists them).")
    elif len(chosen) < total:
        _print(f"The worst {len(chosen)} of {total:,} (--all lists all):")
    for fault in chosen:
        severity = CODES[fault.code].severity
        _print_fault(fault, severity, STYLES[severity])
    if total:
        _print("")
    warnings = count_words(report.count_severities()["warning"], "warning")
    if report.errors:
        todo = "" if report.fixed else f" Correct the errors, or write a cleaned copy: maskzoo data check {data} --fix OUT"
        _print(f"{count_words(report.errors, 'error')}, {warnings}.{todo}")
    else:
        _print(f"No errors, {warnings}. It can be trained on.")


def _tabulate(report: DatasetReport) -> Table:
    from maskzoo.dataset_checks.codes import CODES

    table = start_table("severity")
    table.add_column("kind", ratio=3)
    table.add_column("count", justify="right", no_wrap=True)
    table.add_column("first", ratio=2)
    table.add_column("what to do", ratio=4)
    first = {fault.code: fault for fault in reversed(report.problems)}
    for name, count in report.count().items():
        code, fault = CODES[name], first[name]
        where = make_printable(" ".join(filter(None, (fault.split, fault.name_row()))))
        table.add_row(Text(code.severity, STYLES[code.severity]), code.title, f"{count:,}", where, code.advice)
    return table


def _print_fixed(report: DatasetReport) -> None:
    for fixed in report.fixed.values():
        _print("")
        if fixed.reason:
            _print(f"Not written: {fixed.file}: {fixed.reason}")
        else:
            _print(f"Wrote {fixed.file}: {count_words(sum(fixed.changes.values()), 'change')}")
        for change, count in sorted(fixed.changes.items(), key=lambda item: -item[1]):
            _print(f"  {count:,} x {change}")
        for fault in fixed.left[:SHOWN]:
            _print_fault(fault, "left to you", "bold red")
        if len(fixed.left) > SHOWN:
            _print(f"and {len(fixed.left) - SHOWN:,} more that are left to you (--json has all)")
        for table, tally in fixed.rows.items():
            numbers = f"saved {tally.saved:,}, changed {tally.changed:,}, dropped {tally.dropped:,}, left {tally.left:,}"
            _print(f"{table}: {numbers} of {tally.before:,}")
    if report.after is not None:
        _print_after(report, report.after)


def _print_after(report: DatasetReport, after: DatasetReport) -> None:
    """Print what was found before and after side by side, and what can be done with the cleaned files."""
    table = start_table("kind")
    table.add_column("before", justify="right", no_wrap=True)
    table.add_column("after", justify="right", no_wrap=True)
    for title, before, left in report.compare():
        table.add_row(title, f"{before:,}", f"{left:,}")
    _print("")
    open_stdout().print(table)
    _print("")
    files = [fixed.file for fixed in report.fixed.values() if not fixed.reason]
    place = files[0] if len(files) == 1 else files[0].parent
    folders = {split.folder for split in after.splits.values()}
    where = folders.pop() if len(folders) == 1 else None
    images = f" --images {where or 'DIR'}"
    found = after.count_severities()
    said = f"{count_words(after.errors, 'error')} and {count_words(found['warning'], 'warning')} are left"
    verdict = "correct the errors first" if after.errors else f"it can be trained on with{images}"
    _print(f"After that {said}; {verdict}. Look at it: maskzoo data check {place}{images}")
