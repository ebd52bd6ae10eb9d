"""Fields of the record key: `key`, its bytes as text, and `key.<path>`, a field of an Avro key."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import pyarrow as pa

from stream_infer.avro.arrow import column, path_type
from stream_infer.avro.catalog import Catalog
from stream_infer.avro.decoder import Piece, decode_group, join, look_up
from stream_infer.avro.framing import KEY_SCHEMA_HEADER, InputFormat
from stream_infer.avro.groups import Framing
from stream_infer.avro.refusal import Incompatible, Refusal
from stream_infer.avro.registry import SchemaSource
from stream_infer.avro.schemas import AvroSchema
from stream_infer.avro.writer import WriterDecoder
from stream_infer.clock import Clock
from stream_infer.errors import Reason, Reject, WrongUse
from stream_infer.records import Headers

KEY: Final = "key"


@dataclass(frozen=True, slots=True)
class KeyColumn:
    """One value per record, null where the record has no key or is refused; `rejects` by row, in order."""

    values: pa.Array
    rejects: tuple[Reject, ...]


def is_key_path(path: str) -> bool:
    """Return whether a path of `schemas.fields` points into the record key."""
    return path == KEY or path.startswith(f"{KEY}.")


class KeyDecoder:
    """Reads one path out of record keys, as Arrow type `wanted`.

    Keys carry the same frames as values; their writer schema is also the one they are read with. `local` are schemas
    that single-object fingerprints name. Raises `WrongUse` for a path into keys that no frame describes.
    """

    def __init__(
        self,
        path: str,
        *,
        wanted: pa.DataType,
        input_format: InputFormat,
        sources: SchemaSource | None,
        local: Iterable[AvroSchema],
        max_record_bytes: int,
        clock: Clock,
    ) -> None:
        self._path = path.partition(".")[2]
        if self._path and input_format == "raw":
            raise WrongUse(f"schemas.fields names {path!r}, but raw keys have no schema: expected {KEY!r} alone")
        self._wanted = wanted
        self._framing = Framing(input_format, max_record_bytes, KEY_SCHEMA_HEADER)
        self._catalog = Catalog(self._decoder, raw=None, local=local, sources=sources, clock=clock)

    def decode(self, keys: Sequence[bytes | None], headers: Sequence[Headers | None] | None) -> KeyColumn:
        """Read the path out of keys, one a row; raises `Retry` while the registry is away."""
        if not self._path:
            return self._texts(keys)
        present = [row for row, key in enumerate(keys) if key is not None]
        grouped = self._framing.group(
            [keys[row] for row in present],
            None if headers is None else [headers[row] for row in present],
        )
        pieces = [self._read(decode_group(writer, group)) for writer, group in look_up(self._catalog, grouped.groups)]
        rejects = [*grouped.rejects, *(reject for piece in pieces for reject in piece.rejects)]
        found = join(pieces, rejects=rejects, empty=_single(pa.array([], self._wanted)))
        return self._place(
            found.columns.column(0),
            rows=[present[row] for row in found.rows],
            size=len(keys),
            rejects=[each.at(present[each.row]) for each in found.rejects],
        )

    def _decoder(self, writer: AvroSchema) -> WriterDecoder:
        first = self._path.partition(".")[0]
        if first not in {each.name for each in writer.fields}:
            raise Incompatible(f"key schema {writer.name} has no field {first!r}, which schemas.fields names")
        return WriterDecoder(writer, writer.record.project([first]))

    def _read(self, piece: Piece) -> Piece:
        """Return the piece with its one wanted column; a type that does not convert refuses its rows."""
        try:
            for part in piece.columns:
                path_type(part.schema, self._path)
            columns = [_single(column(part, self._path).cast(self._wanted)) for part in piece.columns]
            return replace(piece, columns=columns)
        except (WrongUse, pa.ArrowException) as error:
            refusal = Refusal(f"key field {self._path} is no {self._wanted}: {error}", reason=Reason.WRONG_TYPE)
            return Piece(
                rejects=[*piece.rejects, *(refusal.reject(row) for rows in piece.rows for row in rows.tolist())]
            )

    def _texts(self, keys: Sequence[bytes | None]) -> KeyColumn:
        texts: list[str | None] = []
        rejects: list[Reject] = []
        for row, key in enumerate(keys):
            try:
                texts.append(None if key is None else key.decode())
            except UnicodeDecodeError as error:
                texts.append(None)
                rejects.append(Refusal(f"the key is no UTF-8 text: {error.reason}").reject(row))
        return KeyColumn(pa.array(texts, pa.string()).cast(self._wanted), tuple(rejects))

    def _place(self, values: pa.Array, *, rows: Sequence[int], size: int, rejects: Iterable[Reject]) -> KeyColumn:
        index: list[int | None] = [None] * size
        for place, row in enumerate(rows):
            index[row] = place
        return KeyColumn(values.take(pa.array(index, pa.int64())), tuple(rejects))


def _single(values: pa.Array) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([values], names=[KEY])
