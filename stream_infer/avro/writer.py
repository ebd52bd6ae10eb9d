"""Decoding what one writer schema wrote: fast while all is well, record by record where it is not."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stream_infer.avro.agreement import agree
from stream_infer.avro.columns import ColumnDecoder, Fast, Undecided, column_decoder
from stream_infer.avro.refusal import Incompatible
from stream_infer.avro.rows import Part, Refused, RowDecoder
from stream_infer.avro.schemas import AvroSchema
from stream_infer.avro.tree import Record
from stream_infer.logs import Repeated

repeated = Repeated(logging.getLogger(__name__))

SMALL: Final = 8
"""A stretch this short is decoded row by row rather than halved once more."""


@dataclass(slots=True)
class Answer:
    """What became of a batch so far: `kept` holds for each of `parts` the indices of its rows, int64."""

    parts: list[pa.RecordBatch] = field(default_factory=list)
    kept: list[NDArray[np.int64]] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)

    def add(self, columns: pa.RecordBatch, indices: NDArray[np.int64]) -> None:
        """Add rows of the batch that decoded."""
        if len(indices):
            self.parts.append(columns)
            self.kept.append(indices)

    def add_part(self, part: Part, indices: NDArray[np.int64]) -> None:
        """Add the outcome for the bodies at `indices` of the batch."""
        self.add(part.columns, indices[part.kept])
        self.refused += [Refused(int(indices[each.index]), each.refusal) for each in part.refused]


class WriterDecoder:
    """Decodes records of one writer schema to columns of the reader's.

    Raises `Incompatible` when no record of the writer can be read as the reader's.
    """

    def __init__(self, writer: AvroSchema, reader: Record) -> None:
        if not isinstance(writer.tree, Record):
            raise Incompatible(
                f"writer schema {writer.name} is no record: expected one with the fields of {reader.name}"
            )
        fast = column_decoder(writer.tree, reader)
        self._rows = RowDecoder(writer.tree, reader)
        self._fast = _trusted(writer, fast, self._rows)

    @property
    def is_fast(self) -> bool:
        """Return whether whole batches are decoded at once."""
        return self._fast is not None

    def decode(self, values: Sequence[bytes], start: int) -> Answer:
        """Decode values whose records begin at byte `start`."""
        answer = Answer()
        self._decode(values, np.arange(len(values)), start, answer)
        return answer

    def _decode(self, values: Sequence[bytes], indices: NDArray[np.int64], start: int, answer: Answer) -> None:
        """Decode the values at `indices`, halving a stretch that the fast decoder cannot take as a whole."""
        if self._fast is None:
            self._singly(values, indices, start, answer)
            return
        try:
            fast = self._fast.decode(values, start)
        except Undecided:
            self._halve(values, indices, start, answer)
            return
        if fast.sound.all():
            answer.add(fast.columns, indices)
        else:
            self._mend(values, indices, start, answer=answer, fast=fast)

    def _halve(self, values: Sequence[bytes], indices: NDArray[np.int64], start: int, answer: Answer) -> None:
        if len(values) <= SMALL:
            self._singly(values, indices, start, answer)
            return
        middle = len(values) // 2
        self._decode(values[:middle], indices[:middle], start, answer)
        self._decode(values[middle:], indices[middle:], start, answer)

    def _mend(
        self, values: Sequence[bytes], indices: NDArray[np.int64], start: int, *, answer: Answer, fast: Fast
    ) -> None:
        """Take the sound rows as they are, and ask the reference about the others."""
        answer.add(fast.columns.filter(pa.array(fast.sound)), indices[fast.sound])
        others = np.flatnonzero(~fast.sound)
        self._singly([values[each] for each in others.tolist()], indices[others], start, answer)

    def _singly(self, values: Sequence[bytes], indices: NDArray[np.int64], start: int, answer: Answer) -> None:
        answer.add_part(self._rows.decode([value[start:] for value in values]), indices)


def _trusted(writer: AvroSchema, fast: ColumnDecoder | None, rows: RowDecoder) -> ColumnDecoder | None:
    if fast is None:
        text = "writer schema %s is decoded record by record: it has types that columns cannot take"
        repeated.info(text, writer.name, each=writer.name)
        return None
    if not agree(writer.tree, fast=fast, reference=rows):
        text = "writer schema %s is decoded record by record: the fast decoder answers otherwise"
        repeated.warning(text, writer.name, each=writer.name)
        return None
    return fast
