"""Decode: raw record values to columns in the reader schema's fields."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stream_infer.avro.build import batch
from stream_infer.avro.catalog import Catalog
from stream_infer.avro.framing import InputFormat
from stream_infer.avro.groups import Framing, Group
from stream_infer.avro.refusal import Refusal
from stream_infer.avro.registry import SchemaSource
from stream_infer.avro.schemas import AvroSchema
from stream_infer.avro.writer import WriterDecoder
from stream_infer.clock import Clock
from stream_infer.errors import Reject, Retry
from stream_infer.records import Headers


@dataclass(frozen=True, slots=True)
class Decoded:
    """One decoded batch.

    `columns` are the rows that decoded, in order, in the reader schema's fields (nested records as Arrow structs);
    `rows` is int64, for each of them its row in the input; `rejects` holds one refusal for each other row, in order.
    """

    columns: pa.RecordBatch
    rows: NDArray[np.int64]
    rejects: tuple[Reject, ...]


class Decoder:
    """Decodes values of any writer schema that resolves to the reader's.

    `sources` is the registry, None without one; `local` are schemas that single-object fingerprints may name, beside
    the reader's own; `fields` are the top-level reader fields that anybody needs, None for all. Raises
    `SchemaRefused` when the reader schema is no record.
    """

    def __init__(
        self,
        reader: AvroSchema,
        *,
        input_format: InputFormat,
        sources: SchemaSource | None,
        local: Iterable[AvroSchema],
        max_record_bytes: int,
        clock: Clock,
        fields: Sequence[str] | None = None,
    ) -> None:
        record = reader.record.project(fields)
        self._empty = batch([], record)
        self._framing = Framing(input_format, max_record_bytes)
        self._catalog = Catalog(
            lambda writer: WriterDecoder(writer, record),
            raw=reader,
            local=[reader, *local],
            sources=sources,
            clock=clock,
        )

    def decode(self, values: Sequence[bytes | None], headers: Sequence[Headers | None] | None) -> Decoded:
        """Decode values, one a row, with their record headers where there are any.

        Raises `Retry` while the registry is away; nothing is lost, and the caller comes back with the same batch.
        """
        grouped = self._framing.group(values, headers)
        pieces = [decode_group(writer, group) for writer, group in look_up(self._catalog, grouped.groups)]
        rejects = [*grouped.rejects, *(reject for piece in pieces for reject in piece.rejects)]
        return join(pieces, rejects=rejects, empty=self._empty)


def look_up(catalog: Catalog, groups: Sequence[Group]) -> list[tuple[WriterDecoder | Refusal, Group]]:
    """Return each group with its decoder or refusal.

    Raises the first `Retry` only after every schema was asked for, so that several unknown ones wait together.
    """
    found: list[tuple[WriterDecoder | Refusal, Group]] = []
    waiting: list[Retry] = []
    for group in groups:
        try:
            found.append((catalog.get(group.frame.ref), group))
        except Retry as retry:
            waiting.append(retry)
    if waiting:
        raise waiting[0]
    return found


@dataclass(frozen=True, slots=True)
class Piece:
    """The outcome for one group, in rows of the batch: for each of `columns` its rows, int64."""

    columns: Sequence[pa.RecordBatch] = ()
    rows: Sequence[NDArray[np.int64]] = ()
    rejects: Sequence[Reject] = ()


def decode_group(writer: WriterDecoder | Refusal, group: Group) -> Piece:
    """Decode one group, or refuse all of it."""
    if isinstance(writer, Refusal):
        return Piece(rejects=[writer.reject(row) for row in group.rows.tolist()])
    answer = writer.decode(group.values, group.frame.start)
    return Piece(
        columns=answer.parts,
        rows=[group.rows[kept] for kept in answer.kept],
        rejects=[each.refusal.reject(int(group.rows[each.index])) for each in answer.refused],
    )


def join(pieces: Sequence[Piece], *, rejects: Iterable[Reject], empty: pa.RecordBatch) -> Decoded:
    """Return the pieces of a batch as one, its rows in input order."""
    parts = [part for piece in pieces for part in piece.columns]
    rows_of = [rows for piece in pieces for rows in piece.rows]
    ordered = tuple(sorted(rejects, key=lambda reject: reject.row))
    if len(parts) == 1:
        return Decoded(parts[0], rows_of[0], ordered)
    rows, columns = np.concatenate([np.empty(0, np.int64), *rows_of]), pa.concat_batches([empty, *parts])
    if (rows[1:] < rows[:-1]).any():
        order = np.argsort(rows)
        rows, columns = rows[order], columns.take(pa.array(order))
    return Decoded(columns, rows, ordered)
