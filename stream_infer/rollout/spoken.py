"""Spoken: what the log says of a rollout, each line with its revision and version as fields."""

import logging
from collections.abc import Sequence

from stream_infer.logs import Repeated
from stream_infer.model.lifecycle import State
from stream_infer.rollout.fold import Outcome, Verdict
from stream_infer.rollout.plan import Choice
from stream_infer.rollout.table import Row, spoken

log = logging.getLogger(__name__)
repeated = Repeated(log)


def say_counts(verdicts: Sequence[Verdict]) -> None:
    """Say which revision counts now; what counted before it in the same read was never in effect here."""
    newest = next((one for one in reversed(verdicts) if one.outcome is Outcome.APPLIED), None)
    if newest is not None:
        revision, offset = newest.revision, newest.offset
        log.info(
            "revision %s counts, at offset %d of the control topic", revision, offset, extra={"revision": revision}
        )


def say_refused(verdict: Verdict, sentence: str) -> None:
    """Say why a control record changes nothing."""
    repeated.warning("a control record changes nothing, %s", sentence, extra={"revision": verdict.revision})


def say_given_up(row: Row) -> None:
    """Say that a version's load is given up."""
    version = row.holding.ref.version
    log.info("version %s is not wanted any more: its load is given up", version, extra=_fields(row))


def say_serves(choice: Choice) -> None:
    """Say what serves now."""
    fields = {"revision": choice.revision, "version": choice.stable.version}
    log.info("revision %d serves: %s", choice.revision, spoken(choice), extra=fields)


def say_moved(row: Row) -> None:
    """Say in which state a version is now."""
    life, version = row.holding.life, row.holding.ref.version
    level = logging.ERROR if life.state is State.FAILED else logging.INFO
    log.log(
        level, "version %s is %s%s", version, life.state, f": {life.reason}" if life.reason else "", extra=_fields(row)
    )


def _fields(row: Row) -> dict[str, object]:
    return {"revision": row.holding.revision, "version": row.holding.ref.version}
