"""Sorting the values of a batch by the schema that wrote them."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stream_infer.avro.framing import (
    VALUE_SCHEMA_HEADER,
    Frame,
    InputFormat,
    frame_length,
    header_of,
    read_frame,
)
from stream_infer.avro.refusal import Refusal
from stream_infer.errors import Reason, Reject
from stream_infer.records import Headers

_NO_VALUE: Final = Refusal("the record has no value: expected Avro bytes", reason=Reason.NULL_INPUT)


@dataclass(frozen=True, slots=True)
class Group:
    """Rows (int64) that one schema wrote and their values; the records begin at byte `frame.start` of each."""

    frame: Frame
    rows: NDArray[np.int64]
    values: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Grouped:
    """All rows of a batch: each is in one group or refused."""

    groups: list[Group]
    rejects: list[Reject]


@dataclass(frozen=True, slots=True)
class Framing:
    """How values name their schema; `limit_bytes` is the longest value that is looked at, frame included."""

    input_format: InputFormat
    limit_bytes: int
    header: str = VALUE_SCHEMA_HEADER

    def group(self, values: Sequence[bytes | None], headers: Sequence[Headers | None] | None) -> Grouped:
        """Return the values by writer schema; raises nothing."""
        named = self._schema_headers(headers)
        whole = None if named else self._one_group(values)
        return whole or self._sort(values, named or [None] * len(values))

    def _schema_headers(self, headers: Sequence[Headers | None] | None) -> list[bytes | None] | None:
        if headers is None or self.input_format in {"raw", "single_object"}:
            return None
        found = [header_of(each, self.header) if each else None for each in headers]
        return found if any(each is not None for each in found) else None

    def _one_group(self, values: Sequence[bytes | None]) -> Grouped | None:
        """Return the whole batch as one group if all its frames are the same bytes, as they nearly always are."""
        first = values[0] if values else None
        size = 0 if first is None else frame_length(first, self.input_format)
        present = _all_present(values, self.limit_bytes)
        if first is None or present is None or (size == 0 and self.input_format != "raw") or len(first) < size:
            return None
        # What sorts between two values that begin alike begins so too: the quickest look at them all.
        if size and not (min(present).startswith(first[:size]) and max(present).startswith(first[:size])):
            return None
        frame = read_frame(first, self.input_format)
        return Grouped([Group(frame, np.arange(len(present)), present)], [])

    def _sort(self, values: Sequence[bytes | None], named: Sequence[bytes | None]) -> Grouped:
        sorting = _Sorting(self)
        for row, (value, header) in enumerate(zip(values, named, strict=True)):
            sorting.add(row, value, header)
        return sorting.grouped()

    def frame(self, value: bytes, header: bytes | None) -> Frame:
        """Return the frame of one value; raises `Refusal`."""
        if len(value) > self.limit_bytes:
            raise Refusal(
                f"the value has {len(value)} bytes: expected at most delivery.max_record_bytes, {self.limit_bytes}",
                reason=Reason.TOO_LARGE,
            )
        return read_frame(value, self.input_format, header=header)


@dataclass(slots=True)
class _Sorting:
    framing: Framing
    rows: defaultdict[Frame, list[int]] = field(default_factory=lambda: defaultdict(list))
    values: defaultdict[Frame, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    rejects: list[Reject] = field(default_factory=list)

    def add(self, row: int, value: bytes | None, header: bytes | None) -> None:
        if value is None:
            self.rejects.append(_NO_VALUE.reject(row))
            return
        try:
            frame = self.framing.frame(value, header)
        except Refusal as refusal:
            self.rejects.append(refusal.reject(row))
            return
        self.rows[frame].append(row)
        self.values[frame].append(value)

    def grouped(self) -> Grouped:
        """Return what was added."""
        groups = [Group(frame, np.array(rows), self.values[frame]) for frame, rows in self.rows.items()]
        return Grouped(groups, self.rejects)


def _all_present(values: Sequence[bytes | None], limit_bytes: int) -> Sequence[bytes] | None:
    """Return the values if none is missing or too long, else None."""
    try:
        return values if max(map(len, values), default=0) <= limit_bytes else None  # type: ignore[arg-type, return-value]
    except TypeError:
        return None
