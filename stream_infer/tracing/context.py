"""The trace context in record headers, as W3C Trace Context and Baggage spell it. Knows no OpenTelemetry."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from stream_infer.records import Headers

PARENT: Final = "traceparent"
STATE: Final = "tracestate"
CARRIED: Final = frozenset({PARENT, STATE, "baggage"})
"""Headers that a prediction takes over from its record."""
LONGEST_BYTES: Final = 8192
"""Of one header, as the Baggage recommendation has it: a longer one is left behind, and the prediction goes without."""
FLAGS: Final = slice(53, 55)
SAMPLED: Final = 1


def carry(headers: Sequence[Headers | None], rows: Iterable[int]) -> list[Headers | None] | None:
    """Return the headers that the predictions of these rows take over; None when that is none for all of them."""
    carried = [_carried(headers[row]) for row in rows]
    return carried if any(carried) else None


def _carried(headers: Headers | None) -> Headers | None:
    if not headers:
        return None
    found = [(name, value) for name, value in headers if name in CARRIED and len(value or b"") <= LONGEST_BYTES]
    # Of a name that is there twice the last counts, as for Kafka's own clients.
    return (found if len(found) < 2 else list(dict(found).items())) or None  # noqa: PLR2004 - two may be the same


def parents(headers: Sequence[Headers | None] | None) -> Iterator[dict[str, str]]:
    """Return the context of every record whose sender records a trace: `traceparent`, `tracestate` if there is one."""
    for each in headers or ():
        if each and any(name == PARENT and _is_sampled(value) for name, value in each):
            found = dict(_carried(each) or ())
            yield {name: (found[name] or b"").decode("ascii", "replace") for name in (PARENT, STATE) if name in found}


def _is_sampled(parent: bytes | None) -> bool:
    try:
        return bool(int((parent or b"")[FLAGS], 16) & SAMPLED)
    except ValueError:
        return False
