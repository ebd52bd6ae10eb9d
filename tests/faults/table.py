"""The published table: every run of the ledger, summed by guarantee and fault."""

import json
import re
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.faults.kinds import KINDS

DOCUMENT = Path(__file__).parents[2] / "docs" / "guarantees.md"
MARKED = re.compile(r"(<!-- ledger -->\n).*?(<!-- end -->)", re.DOTALL)
GUARANTEES = ("exactly_once_v2", "at_least_once")
Line = Mapping[str, Any]


def publish(ledger: Path, document: Path = DOCUMENT) -> None:
    """Write the tables into the document, between its marks."""
    text = filled(document.read_text(encoding="utf-8"), ledger)
    document.write_text(text, encoding="utf-8")


def filled(text: str, ledger: Path) -> str:
    """Return a document with the tables of a ledger."""
    lines = [json.loads(line) for line in ledger.read_text(encoding="utf-8").splitlines()]
    return MARKED.sub(lambda found: found[1] + "\n".join(_tables(lines)) + "\n" + found[2], text)


def _tables(lines: Sequence[Line]) -> Iterator[str]:
    for guarantee in GUARANTEES:
        own = [line for line in lines if line["guarantee"] == guarantee]
        held = [line for line in own if not line["broken"]]
        if held:
            yield from _table(guarantee, held, left_out=len(own) - len(held))


def _table(guarantee: str, lines: Sequence[Line], *, left_out: int) -> Iterator[str]:
    faults = defaultdict(list)
    for line in lines:
        for kind, found in line["faults"].items():
            faults[kind].append(found)
    killing = {kind.name for kind in KINDS if kind.kills}
    injections = sum(_sum(one, "injections") for one in faults.values())
    kills = sum(_sum(faults.get(kind, ()), "injections") for kind in killing)
    yield f"### `{guarantee}`"
    yield ""
    yield (
        f"Runs: {len(lines)}, of {max(line['minutes'] for line in lines):.0f} minutes at most; "
        f"{_sum(lines, 'records'):,} records, {injections:,} faults, {kills:,} of them kills of a worker: "
        f"{_sum(lines, 'lost'):,} lost, {_duplicated(lines)}, {_sum(lines, 'out_of_order'):,} out of order, "
        f"{_sum(lines, 'wrong'):,} wrong."
        + (f" Left out: {left_out} more, in which a law did not hold." if left_out else "")
    )
    yield ""
    yield "| fault | injections | records | lost | duplicated | recovery, median (s) | longest (s) |"
    yield "|---|---|---|---|---|---|---|"
    for kind in KINDS:
        if kind.name in faults:
            yield _row(kind.name, faults[kind.name])
    yield ""


def _row(kind: str, found: Sequence[Line]) -> str:
    recovery_s = [seconds for one in found for seconds in one["recovery_s"]]
    numbers = [f"{_sum(found, column):,}" for column in ("injections", "records", "lost", "duplicated")]
    return f"| {kind} | {' | '.join(numbers)} | {statistics.median(recovery_s):.1f} | {max(recovery_s):.1f} |"


def _duplicated(lines: Sequence[Line]) -> str:
    records, more = _sum(lines, "records"), _sum(lines, "duplicated")
    return f"{more:,} answered again" + (f" ({more / records:.3%})" if more else "")


def _sum(found: Iterable[Line], column: str) -> int:
    return sum(one[column] for one in found)
