"""The fast decoder: pyruhvro over a whole batch, then columns to the reader's types.

pyruhvro is shown the encoding alone. Ints are read as long and enums as their number, so that what it would wrap or
miss is checked here; bytes are read as text, which is encoded the same, because it has no bytes. A secret double after
every record tells whether a record ended exactly where its bytes did.
"""

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyruhvro
from numpy.typing import NDArray

from stream_infer.avro.arrow import arrow_schema
from stream_infer.avro.framing import SINGLE_OBJECT_BYTES
from stream_infer.avro.resolve import Step, field_steps
from stream_infer.avro.spell import Json, Plain
from stream_infer.avro.tree import ArrayOf, AvroType, Enum, Fixed, MapOf, Primitive, Record, UnionOf, optional
from stream_infer.avro.vet import vets

_END: Final = secrets.token_bytes(7) + b"\x40"
"""Eight bytes that no sender can know; the last one keeps the double finite, whose bits nobody may change."""
_END_NUMBER: Final = int(np.frombuffer(_END, np.int64)[0])
_WIRE: Final = {"int": "long", "bytes": "string"}
_SINGLE_OBJECT_FRAME: Final = {"mark": "long", "fingerprint": "double"}
"""C3 01 is a long in Avro, and any eight bytes are a double."""


class Undecided(ValueError):
    """The fast decoder cannot answer for this batch: one of its records may be at fault, or none."""


@dataclass(frozen=True, slots=True)
class Fast:
    """Decoded columns; `sound` says for each row whether its record ended with its bytes."""

    columns: pa.RecordBatch
    sound: NDArray[np.bool_]


class ColumnDecoder:
    """Decodes batches of one writer schema."""

    def __init__(self, writer: Record, *, schema: pa.Schema, steps: Sequence[Step]) -> None:
        plain = Wire()
        fields = {f"f{at}": plain.spell(each.type) for at, each in enumerate(writer.fields)} | {"end": "double"}
        self._wire = json.dumps(plain.record(fields))
        self._framed = json.dumps(plain.record({**_SINGLE_OBJECT_FRAME, **fields}))
        self._names = list(fields)
        self._vets = vets([each.type for each in writer.fields])
        self._schema = schema
        self._steps = steps

    def decode(self, values: Sequence[bytes], start: int) -> Fast:
        """Decode values whose record begins at byte `start`; raises `Undecided`."""
        framed = start == SINGLE_OBJECT_BYTES
        # A frame that is read as fields of its own saves a copy of each record.
        bodies = values if framed or not start else [value[start:] for value in values]
        bodies = [body + _END for body in bodies]
        wire = self._read(bodies, self._framed).select(self._names) if framed else self._read(bodies, self._wire)
        try:
            for at, check in self._vets:
                check(wire.column(at))
            record = wire.to_struct_array()
            arrays = [step(record) for step in self._steps]
            columns = pa.RecordBatch.from_arrays(arrays, schema=self._schema)
        except (ValueError, IndexError, pa.ArrowException) as error:
            raise Undecided(str(error)) from error
        return Fast(columns, wire.column(wire.num_columns - 1).to_numpy().view(np.int64) == _END_NUMBER)

    def _read(self, bodies: Sequence[bytes], wire: str) -> pa.RecordBatch:
        try:
            return pyruhvro.deserialize_array(bodies, wire)
        except ValueError as error:
            raise Undecided(str(error)) from error
        except BaseException as error:
            if not is_panic(error):
                raise
            raise Undecided(f"the fast decoder panicked: {error}") from error


def column_decoder(writer: Record, reader: Record) -> ColumnDecoder | None:
    """Return the fast decoder for a pair of schemas, or None when it has none.

    Raises `Incompatible` when records of the writer can never be read as the reader's.
    """
    steps = field_steps(writer, reader, "")
    ready = [step for step in steps if step is not None]
    if len(ready) < len(steps) or not ready or not _readable(writer):
        return None
    return ColumnDecoder(writer, schema=arrow_schema(reader), steps=ready)


def _readable(avro_type: AvroType) -> bool:
    """Return whether pyruhvro reads the type without a value tree in between, which is slow and panics."""
    match avro_type:
        case Fixed():
            return False
        case Record():
            return bool(avro_type.fields) and all(_readable(each.type) for each in avro_type.fields)
        case ArrayOf(items=inner) | MapOf(values=inner):
            return _readable(inner)
        case UnionOf():
            kinds = [json.dumps(Wire().spell(each)) for each in avro_type.branches]
            known = optional(avro_type) is not None or (len(kinds) > 1 and len(set(kinds)) == len(kinds))
            return known and all(map(_readable, avro_type.branches))
        case _:
            return True


def is_panic(error: BaseException) -> bool:
    """Return whether an error is a Rust panic: no `Exception`, and of a class that only its name tells."""
    return type(error).__name__ == "PanicException"


class Wire(Plain):
    """Writes types as pyruhvro is shown them; all columns of the fast path have these types."""

    def spell(self, avro_type: AvroType) -> Json:
        """Return the schema of the encoding, in the types that pyruhvro reads and writes."""
        match avro_type:
            case Primitive():
                return _WIRE.get(avro_type.kind, avro_type.kind)
            case Enum():
                return "long"
            case _:
                return super().spell(avro_type)
