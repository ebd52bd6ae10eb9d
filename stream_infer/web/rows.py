"""JSON values to the columns that a version reads: by the rules of the input schema, as if they had come as events."""

from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Any

import pyarrow as pa

from stream_infer.avro import AvroSchema
from stream_infer.avro.build import batch
from stream_infer.avro.choice import choose, left_out
from stream_infer.avro.from_json import WHOLE, Misfit, from_json
from stream_infer.model import Manifest
from stream_infer.model.columns import read_rows
from stream_infer.web.refusals import Fault, Refused, unprocessable

LIST_EXPECTED = "the body is no list, expected a list of objects: /predict takes a single one"


def rows_of(value: Any, *, single: bool) -> Sequence[Any]:
    """Return the rows that a body's JSON holds: itself, or what is in its list where not `single`.

    Raises `Refused` where there is no list.
    """
    if single:
        return [value]
    if not isinstance(value, list):
        raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, LIST_EXPECTED, more={"errors": []})
    return value


def read_columns(values: Sequence[Any], reader: AvroSchema, manifest: Manifest, *, single: bool) -> pa.RecordBatch:
    """Return one row for each value with the fields that the version reads.

    Other fields of the reader schema may be there and are not looked at. Raises `Refused`, which names every row that
    is no such object, or else every row that holds what the stream would refuse.
    """
    chosen = choose(reader.record, manifest.fields)
    found, faults = [], []
    for row, value in enumerate(values):
        try:
            found.append(from_json(left_out(value, chosen, reader.record), chosen))
        except Misfit as misfit:
            faults.append(Fault(row, str(misfit), None if misfit.path == WHOLE else misfit.path))
        except RecursionError:
            faults.append(Fault(row, f"{WHOLE} is nested too deeply, expected {chosen.name}"))
    if faults:
        raise unprocessable(faults, single=single)
    try:
        columns = batch(found, chosen)
    except (ValueError, pa.ArrowException) as error:
        message = f"a value does not fit its field: {error}"
        raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, message, more={"errors": []}) from error
    if faults := list(_misfits(columns, manifest)):
        raise unprocessable(faults, single=single)
    return columns


def _misfits(columns: pa.RecordBatch, manifest: Manifest) -> Iterator[Fault]:
    """Yield what the stream would refuse of rows that are right by their schema, each row once."""
    told: set[int] = set()
    for spec in manifest.inputs:
        for reject in read_rows(columns, spec).rejects:
            if reject.row not in told:
                told.add(reject.row)
                yield Fault(reject.row, reject.message, reject.field)
