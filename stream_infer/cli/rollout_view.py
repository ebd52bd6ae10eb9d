"""What `stream-infer rollout` shows: for a person, and as JSON."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from stream_infer.cli.operator import Told
from stream_infer.rollout.campaign import View
from stream_infer.rollout.record import to_json
from stream_infer.rollout.status import WorkerStatus

NOT_SAID: Final = "nothing said yet"
NO_VERSION: Final = "no version yet"
_MILLISECONDS: Final = 1000
_WIDE: Final = 240
"""Columns where the output goes to no terminal: a line of the table is then a line of a file."""


def status_json(view: View) -> dict[str, Any]:
    """Return what should serve and what does, worker by worker; `live` is null where the broker cannot tell."""
    current = view.folded.current
    return {
        "desired": json.loads(to_json(current)) if current else None,
        "live": None if view.members is None else sorted(view.members),
        "workers": [asdict(view.statuses[name]) for name in view.live if name in view.statuses],
        "silent": [name for name in view.live if name not in view.statuses],
    }


def print_status(view: View) -> None:
    """Print the desired state and a table of the live workers."""
    console = _console()
    for line in _desired_lines(view):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    table = Table("worker", "revision", "version", "variant", "state", "since", "reason")
    for name in view.live:
        for row in _rows(name, view.statuses.get(name), revision=view.folded.revision):
            table.add_row(*row)
    console.print(table if view.live else "no live worker")


def history_lines(told: Sequence[Told]) -> list[dict[str, Any]]:
    """Return what became of each record, oldest first."""
    return [_history_line(one) for one in told]


def print_history(lines: Sequence[dict[str, Any]]) -> None:
    """Print a table of records."""
    table = Table("offset", "at", "outcome", "revision", "what", "by", "reason")
    for line in lines:
        table.add_row(*(str(line[name] if line[name] is not None else "") for name in _COLUMNS))
    _console().print(table)


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_WIDE)


_COLUMNS: Final = ("offset", "at", "outcome", "revision", "what", "by", "reason")


def _history_line(told: Told) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    try:
        found = json.loads(told.entry.value or b"")
        fields = found if isinstance(found, dict) else {}
    except ValueError:
        pass  # the verdict says what is wrong with it
    at = datetime.fromtimestamp(told.entry.timestamp_ms / _MILLISECONDS, UTC).isoformat(timespec="seconds")
    return {
        "offset": told.verdict.offset,
        "at": at if told.entry.timestamp_ms >= 0 else None,
        "outcome": str(told.verdict.outcome),
        "revision": told.verdict.revision,
        "what": _what(fields),
        "by": fields.get("issued_by"),
        "reason": told.verdict.reason or fields.get("reason"),
    }


def _what(fields: dict[str, Any]) -> str:
    """Return in a few words what a record asks for, as far as it can be read."""
    words = []
    for name in ("stable", "canary"):
        part = fields.get(name)
        if isinstance(part, dict):
            share = f" {part['percent']} %" if "percent" in part else ""
            words.append(f"{name} {part.get('version')}{share}")
    prepared = fields.get("prepared")
    if isinstance(prepared, list) and prepared:
        words.append("prepares " + ", ".join(str(one.get("version")) for one in prepared if isinstance(one, dict)))
    return ", ".join(words)


def _desired_lines(view: View) -> Iterator[str]:
    current = view.folded.current
    if current is None:
        yield f"the control topic names no version of {view.folded.model} yet: model.version serves"
        return
    yield f"model {current.model}, revision {current.revision}, by {current.issued_by or 'somebody'}: " + _what(
        json.loads(to_json(current))
    )
    if current.reason:
        yield f"because: {current.reason}"


def _rows(name: str, status: WorkerStatus | None, *, revision: int) -> Iterator[tuple[str, ...]]:
    if status is None:
        yield name, "", "", "", NOT_SAID, "", ""
        return
    applied = str(status.applied_revision) + ("" if status.applied_revision == revision else f" (not {revision})")
    if not status.versions:
        yield name, applied, "", "", NO_VERSION, "", ""
    for one in status.versions:
        yield name, applied, one.version, one.variant or "", one.state, one.since, one.reason or ""
    for sentence in [*([f"canary stopped: {status.tripped}"] if status.tripped else []), *status.reported]:
        yield name, "", "", "", "", "", sentence
