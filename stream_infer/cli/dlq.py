"""`stream-infer dlq`: look into the dead letters, and send them back to be scored."""

import json
import sys
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from stream_infer.avro.refusal import Refusal
from stream_infer.cli.consume import reader_of
from stream_infer.cli.letters import Letter, Selection, read_letters
from stream_infer.cli.options import CommonOptions, with_common_options
from stream_infer.cli.record_reader import RecordReader
from stream_infer.cli.replay import Chooser, Replay, Replayed, sent_attempts
from stream_infer.cli.to_json import headers_to_json, in_base64, iso_time, text_or_base64
from stream_infer.errors import Reason, Retry, Stop, WrongUse
from stream_infer.records import Place
from stream_infer.settings import Settings
from stream_infer.transport.clients import wait_for_broker
from stream_infer.transport.topics import admin_for, require_topic

app = typer.Typer(
    name="dlq", help="Look into the dead letters, and send them back.", no_args_is_help=True, add_completion=False
)

SHOWN: Final = 10
MAX_ATTEMPTS: Final = 3
Reasons = Annotated[list[str] | None, typer.Option("--reason", help="Only these, as `list` names them; repeatable.")]
OfPartition = Annotated[int | None, typer.Option("--partition", min=0, help="Only this one of the dead-letter topic.")]
OfOffset = Annotated[int | None, typer.Option("--offset", min=0, help="Only the one with this offset there.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]


@dataclass(slots=True)
class Tally:
    """Letters of one reason, stage and model version, and the times of the oldest and the newest record."""

    count: int = 0
    oldest_ms: int | None = None
    newest_ms: int | None = None

    def add(self, letter: Letter) -> None:
        """Count one."""
        self.count += 1
        if letter.timestamp_ms >= 0:
            self.oldest_ms = min(self.oldest_ms or letter.timestamp_ms, letter.timestamp_ms)
            self.newest_ms = max(self.newest_ms or letter.timestamp_ms, letter.timestamp_ms)


@app.command("list")
@with_common_options
def list_(
    common: CommonOptions,
    *,
    reason: Reasons = None,
    partition: OfPartition = None,
    offset: OfOffset = None,
    limit: Annotated[int, typer.Option(min=0, help="Show so many of them one by one.")] = SHOWN,
    as_json: AsJson = False,
) -> None:
    """Count the dead letters by reason, and show the first of them one by one."""
    settings = _started(common)
    shown: list[Letter] = []
    tallies: defaultdict[tuple[str, str, str], Tally] = defaultdict(Tally)
    for letter in read_letters(settings, _selection(reason, partition, offset)):
        tallies[letter.reason, letter.stage, letter.model_version].add(letter)
        if len(shown) < limit:
            shown.append(letter)
    if as_json:
        print(json.dumps({"reasons": _plain(tallies), "letters": [_brief(one) for one in shown]}, indent=2))
    else:
        _print_list(settings.topics.dead_letter, tallies, shown)


@app.command("show")
@with_common_options
def show(
    common: CommonOptions,
    *,
    reason: Reasons = None,
    partition: OfPartition = None,
    offset: OfOffset = None,
    limit: Annotated[int, typer.Option(min=1, help="So many at most.")] = 1,
) -> None:
    """Print dead letters as JSON, the first of the selection unless told otherwise: each field as far as it decodes."""
    settings = _started(common)
    reader = reader_of(settings, is_output=False)
    found = list(read_letters(settings, _selection(reason, partition, offset, limit=limit)))
    if not found:
        raise Stop(f"Topic {settings.topics.dead_letter} holds no such dead letter.")
    for letter in found:
        print(json.dumps(_whole(letter, reader), indent=2, ensure_ascii=False))


@app.command("replay")
@with_common_options
def replay(
    common: CommonOptions,
    *,
    reason: Reasons = None,
    partition: OfPartition = None,
    offset: OfOffset = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Send so many at most.")] = None,
    max_attempts: Annotated[int, typer.Option(min=1, help="Leave those that were replayed so often.")] = MAX_ATTEMPTS,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be sent and send nothing.")] = False,
) -> None:
    """Send dead letters to the retry topic, which the worker reads beside the input.

    Each goes once an attempt: what was replayed already is left, so an interrupted replay is simply started again.
    """
    settings = _started(common)
    require_topic(admin_for(settings), settings.topics.retry, settings)
    chooser = Chooser(sent_attempts(settings), max_attempts=max_attempts)
    done = Replayed()
    chosen = _chosen(read_letters(settings, _selection(reason, partition, offset)), chooser, done)
    if dry_run:
        done.sent = sum(1 for _ in islice(chosen, limit))
    else:
        done.sent = _send(Replay(settings), islice(chosen, limit))
    print(done.sentence(dry_run=dry_run, topic=settings.topics.retry), file=sys.stderr)


def _chosen(letters: Iterable[Letter], chooser: Chooser, done: Replayed) -> Iterable[tuple[Letter, Place]]:
    for letter in letters:
        refusal = chooser.refusal(letter)
        if refusal is None and letter.origin is not None:
            yield letter, letter.origin
        else:
            done.left[str(refusal)] += 1


def _send(replay: Replay, chosen: Iterable[tuple[Letter, Place]]) -> int:
    try:
        for letter, origin in chosen:
            replay.send(letter, origin)
    finally:
        replay.finish()
    return replay.delivered


def _started(common: CommonOptions) -> Settings:
    settings = common.start()
    wait_for_broker(settings)
    require_topic(admin_for(settings), settings.topics.dead_letter, settings)
    return settings


def _selection(
    reasons: list[str] | None, partition: int | None, offset: int | None, *, limit: int | None = None
) -> Selection:
    known = [str(reason) for reason in Reason]
    for reason in reasons or ():
        if reason not in known:
            raise WrongUse(f"--reason is {reason}, expected one of {', '.join(known)}.")
    if offset is not None and partition is None:
        raise WrongUse("--offset is given without --partition, expected both: an offset counts within a partition.")
    return Selection(tuple(reasons or ()), partition, offset, limit)


def _whole(letter: Letter, reader: RecordReader) -> dict[str, Any]:
    return _brief(letter) | {"headers": headers_to_json(letter.own_headers)} | _value(letter, reader)


def _value(letter: Letter, reader: RecordReader) -> dict[str, Any]:
    if letter.omitted_bytes is not None:
        return {"value": None, "error": f"the value had {letter.omitted_bytes} bytes and was left out"}
    if letter.value is None:
        return {"value": None}
    try:
        fields, refusal = reader.read_fields(letter.value, letter.own_headers)
    except (Refusal, Retry) as error:
        return in_base64(letter.value, name="value") | {"error": str(error)}
    if refusal is None:
        return {"value": fields}
    return {"value": fields, "error": str(refusal)} | in_base64(letter.value, name="value")


def _brief(letter: Letter) -> dict[str, Any]:
    origin = letter.origin
    return {
        "partition": letter.place.source.partition,
        "offset": letter.place.offset,
        "reason": letter.reason,
        "stage": letter.stage,
        "message": letter.message,
        "model_version": letter.model_version,
        "attempt": letter.attempt,
        "original": origin and {**origin.source._asdict(), "offset": origin.offset},
        "timestamp": _time(letter.timestamp_ms),
        **text_or_base64(letter.key, name="key"),
    }


def _time(milliseconds: int | None) -> str | None:
    return None if milliseconds is None or milliseconds < 0 else iso_time(milliseconds)


def _plain(tallies: dict[tuple[str, str, str], Tally]) -> list[dict[str, Any]]:
    return [
        {
            "reason": reason,
            "stage": stage,
            "model_version": version,
            "letters": tally.count,
            "oldest": _time(tally.oldest_ms),
            "newest": _time(tally.newest_ms),
        }
        for (reason, stage, version), tally in _ordered(tallies)
    ]


def _ordered(tallies: dict[tuple[str, str, str], Tally]) -> list[tuple[tuple[str, str, str], Tally]]:
    return sorted(tallies.items(), key=lambda item: (-item[1].count, item[0]))


def _print_list(topic: str, tallies: dict[tuple[str, str, str], Tally], shown: list[Letter]) -> None:
    console = Console(soft_wrap=True, highlight=False)
    total = sum(tally.count for tally in tallies.values())
    console.print(f"{topic}: {total:,} dead letters", markup=False)
    if not total:
        return
    table = Table("reason", "stage", "model version", "letters", "oldest record", "newest record")
    for (reason, stage, version), tally in _ordered(tallies):
        table.add_row(
            reason, stage, version, f"{tally.count:,}", _time(tally.oldest_ms) or "-", _time(tally.newest_ms) or "-"
        )
    console.print(table)
    for letter in shown:
        origin = f"{letter.origin.source} offset {letter.origin.offset}" if letter.origin else "an unknown position"
        console.print(
            f"--partition {letter.place.source.partition} --offset {letter.place.offset}: from {origin}, "
            f"attempt {letter.attempt}: {letter.reason}: {letter.message}",
            markup=False,
        )
