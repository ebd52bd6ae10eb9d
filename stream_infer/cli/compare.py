"""`stream-infer compare`: how two topics of predictions differ, joined by source position."""

import json
import math
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from stream_infer.avro.refusal import Refusal
from stream_infer.cli.consume import reader_of
from stream_infer.cli.options import CommonOptions, with_common_options
from stream_infer.cli.record_reader import RecordReader
from stream_infer.cli.whole_topic import read_whole
from stream_infer.errors import Stop
from stream_infer.records import Partition
from stream_infer.rollout.compare import Answer, Comparison, Served
from stream_infer.rollout.compare import compare as join
from stream_infer.settings import Settings
from stream_infer.transport.clients import wait_for_broker
from stream_infer.transport.topics import admin_for, require_topic

SHOWN_CHANGES: Final = 20


@with_common_options
def compare(
    common: CommonOptions,
    *,
    a: Annotated[str, typer.Option("--a", metavar="TOPIC", help="Predictions.")],
    b: Annotated[str, typer.Option("--b", metavar="TOPIC", help="Predictions of the same events by another release.")],
    max_messages: Annotated[int | None, typer.Option(min=1, help="Of each topic at most.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Join two topics of predictions by source position, up to their ends as of now, and say how they differ.

    Only the first answer for a position counts.
    """
    settings = common.start()
    wait_for_broker(settings)
    admin = admin_for(settings)
    for topic in (a, b):
        require_topic(admin, topic, settings)
    found = join(_answers(settings, a, max_messages), _answers(settings, b, max_messages))
    if as_json:
        print(json.dumps(_plain(asdict(found)), indent=2, allow_nan=False))
    else:
        _print(found, a, b)


def _answers(settings: Settings, topic: str, limit: int | None) -> Iterator[Answer]:
    """Yield the predictions of a topic up to its end as of now, at most `limit`."""
    reader = reader_of(settings, is_output=True)
    for message in islice(read_whole(settings, topic), limit):
        yield _answer(reader, message, topic=topic)


def _answer(reader: RecordReader, message: Any, *, topic: str) -> Answer:
    where = f"{topic}[{message.partition()}] at offset {message.offset()}"
    try:
        value = reader.read(message.value() or b"", message.headers())
        return Answer(
            source=Partition(value["source_topic"], value["source_partition"]),
            offset=value["source_offset"],
            version=value["model_version"],
            variant=value["variant"],
            prediction=_number(value["prediction"]),
            label=value["label"],
            confidence=_number(value["confidence"]),
            scores=tuple(float(one) for one in value["scores"]),
        )
    except (Refusal, KeyError, TypeError, ValueError) as error:
        raise Stop(f"{where} is no prediction of the default fields: {error}.") from error


def _plain(value: Any) -> Any:
    """Return a value as JSON can say it: an infinite difference is the text `Infinity`."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return "Infinity" if value == math.inf else value


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _print(found: Comparison, a: str, b: str) -> None:
    console = Console(soft_wrap=True, highlight=False)
    console.print(
        f"{found.compared:,} events are answered in both, {found.only_a:,} in {a} alone, {found.only_b:,} in {b} alone",
        markup=False,
    )
    if found.dropped:
        console.print(f"{found.dropped:,} of these waited for the other side in vain: they may be in both")
    for topic, versions in ((a, found.versions_a), (b, found.versions_b)):
        console.print(f"{topic}: {_versions(versions)}", markup=False)
    if found.predicted:
        console.print(
            f"the same prediction: {found.agreeing:,} of {found.predicted:,} ({found.agreeing / found.predicted:.2%})"
        )
    for one in found.differences:
        console.print(f"scores of {one.share:.1%} differ by at most {one.at_most:.3g}")
    if found.largest_difference is not None:
        console.print(f"the largest difference of a score: {found.largest_difference:.3g}")
    if found.changes:
        table = Table(a, b, "events")
        for change in found.changes[:SHOWN_CHANGES]:
            table.add_row(change.a, change.b, f"{change.count:,}")
        console.print(table)


def _versions(versions: tuple[Served, ...]) -> str:
    return ", ".join(f"version {one.version} as {one.variant} {one.count:,}" for one in versions) or "no predictions"
