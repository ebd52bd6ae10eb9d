"""Decode: raw values to the columns that the model and the prediction need."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stream_infer.errors import Reject
from stream_infer.records import Headers, Records


class DecodedColumns(Protocol):
    """What a decoder answers: rows that decoded as columns, their rows in the input, and the refusals."""

    @property
    def columns(self) -> pa.RecordBatch:
        """Return the decoded rows in the reader schema's fields."""
        ...

    @property
    def rows(self) -> NDArray[np.int64]:
        """Return for each row of `columns` its row in the input."""
        ...

    @property
    def rejects(self) -> tuple[Reject, ...]:
        """Return one refusal for each row that is not in `rows`."""
        ...


class BatchDecoder(Protocol):
    """The seam to `stream_infer.avro`."""

    def decode(self, values: Sequence[bytes | None], headers: Sequence[Headers | None] | None) -> DecodedColumns:
        """Decode values; raises `Retry` when the registry is away."""
        ...


class KeyValues(Protocol):
    """What was read from the keys of a batch: one value a row, null where refused, and the refusals."""

    @property
    def values(self) -> pa.Array:
        """Return one value for each row of the batch."""
        ...

    @property
    def rejects(self) -> tuple[Reject, ...]:
        """Return the rows whose key could not be read."""
        ...


class KeyReader(Protocol):
    """The seam to `stream_infer.avro`, for a field that lies in the record key."""

    def decode(self, keys: Sequence[bytes | None], headers: Sequence[Headers | None] | None) -> KeyValues:
        """Read one value out of each key; raises `Retry` when the registry is away."""
        ...


@dataclass(frozen=True, slots=True)
class Decoded:
    """One batch after decoding; `skipped` are rows without a value, which policy passes over."""

    records: Records
    columns: pa.RecordBatch
    rows: NDArray[np.int64]
    rejects: tuple[Reject, ...]
    skipped: int


def decode(records: Records, decoder: BatchDecoder, keys: Mapping[str, KeyReader]) -> Decoded:
    """Decode a batch; `keys` maps the name of an extra column to the reader that takes it from the record keys.

    Raises `Retry` when the registry is away, and then the batch is whole and unchanged.
    """
    result = decoder.decode(records.values, records.headers)
    rejects = result.rejects
    # A row without a value is among them.
    empty = records.values.count(None) if rejects else 0
    if empty:
        rejects = tuple(reject for reject in rejects if records.values[reject.row] is not None)
    decoded = Decoded(records, result.columns, result.rows, rejects, empty)
    for name, reader in keys.items():
        decoded = _add_key(decoded, name, reader.decode(records.keys, records.headers))
    return decoded


def _add_key(decoded: Decoded, name: str, key: KeyValues) -> Decoded:
    """Append a column read from the keys; rows whose key was refused leave the batch."""
    refused = {reject.row: reject for reject in key.rejects}
    kept = np.array([row not in refused for row in decoded.rows.tolist()], dtype=np.bool_)
    rows = decoded.rows[kept]
    columns = decoded.columns.filter(pa.array(kept)) if refused else decoded.columns
    return replace(
        decoded,
        columns=columns.append_column(name, key.values.take(pa.array(rows))),
        rows=rows,
        rejects=decoded.rejects + tuple(refused[row] for row in decoded.rows[~kept].tolist()),
    )
