"""Writer schemas by id: where they come from, and what is remembered of those that do not exist."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Generic, Protocol, TypeVar

from stream_infer.avro.framing import SchemaGuid, SchemaId
from stream_infer.avro.refusal import Refusal
from stream_infer.clock import Clock
from stream_infer.errors import Reason, Retry, StreamInferError

T = TypeVar("T")

NOT_FOUND_GRACE_S: Final = 30.0
"""How long a schema that the registry does not know is asked for again: a registry may lag behind its writers."""
ASK_AGAIN_S: Final = 1.0
FORGET_AFTER_S: Final = 300.0
"""After this, an id that was given up is asked for once more, without holding anything up."""
MAX_ASKS_PER_S: Final = 20
MAX_REMEMBERED: Final = 4_096


class SchemaNotFound(StreamInferError):
    """The registry answers, and has no such schema."""


class SchemaSource(Protocol):
    """A schema registry."""

    def schema_by_id(self, schema_id: int) -> str:
        """Return a schema's JSON, references to other schemas put in place.

        Raises `Retry` when the registry is away, `SchemaNotFound` when it has no such schema.
        """
        ...

    def schema_by_guid(self, guid: str) -> str:
        """Return a schema's JSON by its GUID in lower case with hyphens; raises as `schema_by_id` does."""
        ...


@dataclass(slots=True)
class _Missing:
    """An id that the registry did not know when last asked."""

    since_s: float
    asked_s: float

    def given_up(self) -> bool:
        return self.asked_s - self.since_s >= NOT_FOUND_GRACE_S

    def next_ask_s(self) -> float:
        """Return when to ask again: ever later up to the end of the grace time, then rarely."""
        if self.given_up():
            return self.asked_s + FORGET_AFTER_S
        waited_s = self.asked_s - self.since_s
        return min(self.asked_s + max(ASK_AGAIN_S, waited_s), self.since_s + NOT_FOUND_GRACE_S)


@dataclass(slots=True)
class _Paced:
    """At most `MAX_ASKS_PER_S` questions in any second: hostile ids must not become a request per message."""

    asked_s: list[float] = field(default_factory=list)

    def may_ask(self, now_s: float) -> bool:
        self.asked_s = [at for at in self.asked_s if now_s - at < 1.0]
        if len(self.asked_s) >= MAX_ASKS_PER_S:
            return False
        self.asked_s.append(now_s)
        return True


class SchemaCache(Generic[T]):
    """What was made of each schema of the registry: asked for once, then kept, whether or not the registry is away.

    `make` turns a schema's JSON into what is kept. The oldest of more than `MAX_REMEMBERED` ids are forgotten.
    """

    def __init__(self, source: SchemaSource | None, *, make: Callable[[str], T], clock: Clock) -> None:
        self._source = source
        self._make = make
        self._clock = clock
        self._known: OrderedDict[SchemaId | SchemaGuid, T] = OrderedDict()
        self._missing: OrderedDict[SchemaId | SchemaGuid, _Missing] = OrderedDict()
        self._pace = _Paced()

    def get(self, ref: SchemaId | SchemaGuid) -> T:
        """Return what was made of a schema.

        Raises `Retry` while the registry is away or a missing schema may still appear, and `Refusal` when there is no
        registry or the schema stayed missing for `NOT_FOUND_GRACE_S`.
        """
        found = self._known.get(ref)
        return found if found is not None else self._ask(ref)

    def _ask(self, ref: SchemaId | SchemaGuid) -> T:
        if self._source is None:
            raise _unknown(f"the value names {_words(ref)}, but schema_registry.url is not set")
        now_s, missing = self._clock.monotonic_s(), self._missing.get(ref)
        if missing is not None and now_s < missing.next_ask_s():
            raise _not_there(ref, missing)
        if not self._pace.may_ask(now_s):
            raise (
                _not_there(ref, missing)
                if missing is not None
                else Retry(f"{_words(ref)} is not looked up yet: at most {MAX_ASKS_PER_S} lookups a second")
            )
        try:
            text = self._fetch(self._source, ref)
        except SchemaNotFound:
            raise _not_there(ref, self._note_missing(ref, now_s)) from None
        self._missing.pop(ref, None)
        return _remember(self._known, ref, self._make(text))

    def _fetch(self, source: SchemaSource, ref: SchemaId | SchemaGuid) -> str:
        if isinstance(ref, SchemaId):
            return source.schema_by_id(ref.value)
        return source.schema_by_guid(ref.value)

    def _note_missing(self, ref: SchemaId | SchemaGuid, now_s: float) -> _Missing:
        missing = self._missing.get(ref) or _Missing(now_s, now_s)
        missing.asked_s = now_s
        return _remember(self._missing, ref, missing)


V = TypeVar("V")


def _remember(kept: OrderedDict[SchemaId | SchemaGuid, V], ref: SchemaId | SchemaGuid, value: V) -> V:
    kept[ref] = value
    if len(kept) > MAX_REMEMBERED:
        kept.popitem(last=False)
    return value


def _not_there(ref: SchemaId | SchemaGuid, missing: _Missing) -> StreamInferError:
    if missing.given_up():
        return _unknown(f"{_words(ref)} is not in the registry, asked for {NOT_FOUND_GRACE_S:.0f} s")
    return Retry(f"{_words(ref)} is not in the registry yet")


def _unknown(message: str) -> Refusal:
    return Refusal(message, reason=Reason.UNKNOWN_SCHEMA)


def _words(ref: SchemaId | SchemaGuid) -> str:
    return f"schema id {ref.value}" if isinstance(ref, SchemaId) else f"schema GUID {ref.value}"
