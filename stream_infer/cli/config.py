"""`stream-infer config`: the effective settings and where each comes from."""

import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from stream_infer.cli.options import CommonOptions, with_common_options
from stream_infer.settings import Effective, as_yaml, effective, json_schema


@with_common_options
def config(
    common: CommonOptions,
    *,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of a settings file instead.")] = False,
) -> None:
    """Show the effective settings, secrets hidden, and where each comes from; as YAML unless on a terminal."""
    if schema:
        print(json_schema())
        return
    rows = effective(common.load())
    if sys.stdout.isatty():
        Console().print(_table(rows))
    else:
        print(as_yaml(rows), end="")


def _table(rows: tuple[Effective, ...]) -> Table:
    table = Table("setting", "value", "from", box=None, header_style="bold")
    for row in rows:
        table.add_row(row.name, row.text, row.origin, style="dim" if row.origin == "default" else "")
    return table
