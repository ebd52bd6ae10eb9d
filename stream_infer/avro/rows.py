"""The reference decoder: fastavro, one record at a time, behind a strict check of the bytes."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import pyarrow as pa
from fastavro import parse_schema, schemaless_reader
from fastavro.read import SchemaResolutionError
from fastavro.schema import SchemaParseException
from numpy.typing import NDArray

from stream_infer.avro.align import Aligner
from stream_infer.avro.build import batch
from stream_infer.avro.check import checker
from stream_infer.avro.refusal import Incompatible, Refusal, SchemaRefused
from stream_infer.avro.tree import AvroType, Record


@dataclass(frozen=True, slots=True)
class Refused:
    """One body that was refused: its index among the bodies given."""

    index: int
    refusal: Refusal


@dataclass(frozen=True, slots=True)
class Part:
    """What became of some bodies: `kept`, int64, are the indices of those that are rows of `columns`, in order."""

    columns: pa.RecordBatch
    kept: NDArray[np.int64]
    refused: tuple[Refused, ...] = ()


class ValueDecoder:
    """Decodes single values of one writer's type as Python values of the reader's.

    Numbers stand for times and bytes for decimals, as in the encoding.
    """

    def __init__(self, writer: AvroType, reader: AvroType) -> None:
        pair = Aligner().align(writer, reader)
        self._check = checker(writer)
        try:
            self._writer = parse_schema(pair.writer)
            self._reader = parse_schema(pair.reader)
        except SchemaParseException as error:
            raise SchemaRefused(f"the schema is not valid Avro: {error}") from error

    def decode(self, body: bytes) -> Any:
        """Return the value in `body`; raises `Refusal`."""
        self._check(body)
        try:
            return schemaless_reader(BytesIO(body), self._writer, self._reader)
        except SchemaResolutionError as error:
            raise Incompatible(f"a value of the writer has no place in the reader schema: {error}") from error
        except (ValueError, EOFError, IndexError, KeyError, TypeError, OverflowError) as error:
            raise Refusal(f"the record cannot be decoded: {error!r}") from error


class RowDecoder:
    """Decodes records of one writer schema to columns of the reader's, record by record."""

    def __init__(self, writer: Record, reader: Record) -> None:
        self._values = ValueDecoder(writer, reader)
        self._reader = reader

    def decode(self, bodies: Sequence[bytes]) -> Part:
        """Decode bodies; one that is refused costs the others nothing. Raises nothing."""
        values, kept, refused = [], [], []
        for index, body in enumerate(bodies):
            try:
                values.append(self._values.decode(body))
                kept.append(index)
            except Refusal as refusal:
                refused.append(Refused(index, refusal))
        try:
            return Part(batch(values, self._reader), np.array(kept, np.int64), tuple(refused))
        except (ValueError, pa.ArrowException):
            return self._singly(values, kept, refused)

    def _singly(self, values: list[Any], kept: list[int], refused: list[Refused]) -> Part:
        """Find the values that columns cannot hold, such as a decimal with too many digits."""
        batches, fitting = [batch([], self._reader)], []
        for index, value in zip(kept, values, strict=True):
            try:
                batches.append(batch([value], self._reader))
                fitting.append(index)
            except (ValueError, pa.ArrowException) as error:
                refused.append(Refused(index, Refusal(f"a value does not fit its column: {error}")))
        return Part(pa.concat_batches(batches), np.array(fitting, np.int64), tuple(refused))
