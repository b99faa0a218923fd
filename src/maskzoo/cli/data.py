"""`maskzoo data`: check, look at, split and convert data sets. One file per verb; this one only names them."""

from __future__ import annotations

import typer

from maskzoo.cli.data_check import check
from maskzoo.cli.data_convert import convert_data
from maskzoo.cli.data_pick import pick_data
from maskzoo.cli.data_show import show_data
from maskzoo.cli.data_split import split_data
from maskzoo.cli.data_stats import show_statistics

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="rich",
    help="Check, look at, split and convert data sets, and pick photos to label.\n\nBegin with:\n  maskzoo data check my-data"
    "\n\nMore about a verb: maskzoo data VERB --help",
)
app.command("check", no_args_is_help=True)(check)
app.command("stats", no_args_is_help=True)(show_statistics)
app.command("show", no_args_is_help=True)(show_data)
app.command("split", no_args_is_help=True)(split_data)
app.command("convert", no_args_is_help=True)(convert_data)
app.command("pick", no_args_is_help=True)(pick_data)
