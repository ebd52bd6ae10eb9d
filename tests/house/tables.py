"""Reads the tables of documents, so that tests can hold them against the code."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.house.source import ROOT

DOCS = ROOT / "docs"


@dataclass(frozen=True, slots=True)
class Table:
    """A Markdown table: its rows as cells without the backticks around them."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def column(self, name: str) -> list[str]:
        """Return one column's cells."""
        at = self.head.index(name)
        return [row[at] for row in self.rows]


def table(document: Path, *columns: str, under: str = "") -> Table:
    """Return the first table that begins with these columns, below the heading `under` where one is named."""
    text = document.read_text(encoding="utf-8")
    below = text[text.index(f"\n{under}\n") :] if under else text
    blocks = [block.splitlines() for block in below.split("\n\n") if block.lstrip().startswith("|")]
    tables = [[_cells(line) for line in block if line.startswith("|")] for block in blocks]
    found = next(rows for rows in tables if tuple(rows[0][: len(columns)]) == columns)
    return Table(tuple(found[0]), tuple(tuple(row) for row in found[2:]))


def _cells(line: str) -> Sequence[str]:
    cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
    return [cell.strip("`") if cell.count("`") == 2 else cell for cell in cells]
