"""What a row may be, as JSON schema: the fields that a version reads, by the input schema and by its manifest."""

import math
from collections.abc import Mapping
from typing import Any, Final

from stream_infer.avro.choice import record_in
from stream_infer.avro.from_json import REAL_LIMITS
from stream_infer.avro.tree import ArrayOf, AvroType, Field, Primitive, Record, UnionOf
from stream_infer.model.manifest import Input

Shape = dict[str, Any]

WHOLE: Final[Mapping[str, tuple[int, int]]] = {
    "int": (-(2**31), 2**31 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "long": (-(2**63), 2**63 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "uint8": (0, 255),
}


def row_shape(chosen: Record, whole: Record, specs: Mapping[str, Input]) -> Shape:
    """Return the schema of one object: what is `chosen` of `whole` is checked, the rest may be there.

    `specs` maps dotted paths to the inputs that read them.
    """
    return _record(chosen, whole, specs, path="")


def _record(chosen: Record, whole: Record, specs: Mapping[str, Input], *, path: str) -> Shape:
    read = {field.name: field for field in chosen.fields}
    inner = {field.name: field.type for field in whole.fields}
    return {
        "type": "object",
        "properties": {
            name: _field(read[name], kind, specs, path=f"{path}{name}") if name in read else {}
            for name, kind in inner.items()
        },
        "required": [field.name for field in chosen.fields if _is_required(field, specs.get(f"{path}{field.name}"))],
        "additionalProperties": False,
    }


def _field(field: Field, whole: AvroType, specs: Mapping[str, Input], *, path: str) -> Shape:
    record, full = record_in(field.type), record_in(whole)
    if record is None or full is None:
        spec = specs.get(path)
        return _shape(field.type, spec) if spec else {}
    shape = _record(record, full, specs, path=f"{path}.")
    below = [spec for at, spec in specs.items() if at.startswith(f"{path}.")]
    is_nullable = field.type != record and all(spec.nulls is not None for spec in below)
    return _or_null(shape) if is_nullable else shape


def _shape(avro_type: AvroType, spec: Input) -> Shape:
    """Return the schema of a field that an input reads; a null is right where the manifest says what it stands for."""
    match avro_type:
        case UnionOf(branches=branches):
            shape = _shape(next(iter(avro_type.present), branches[0]), spec)
            return _or_null(shape) if avro_type.nullable and spec.nulls is not None else shape
        case ArrayOf(items=items):
            count = math.prod(spec.row_shape)
            return {"type": "array", "items": _shape(items, spec), "minItems": count, "maxItems": count}
        case Primitive(kind="boolean"):
            return {"type": "boolean"}
        case Primitive(kind="float" | "double" as kind):
            return {"type": "number", "exclusiveMinimum": -REAL_LIMITS[kind], "exclusiveMaximum": REAL_LIMITS[kind]}
        case Primitive(kind="int" | "long" as kind):
            return {"type": "integer", **_bounds(kind, spec.dtype)}
        case _:
            return {}


def _bounds(kind: str, dtype: str) -> Shape:
    """Return what both the schema's type and the model's hold."""
    lowest, highest = WHOLE[kind]
    least, most = WHOLE.get(dtype, WHOLE["long"])
    return {"minimum": max(lowest, least), "maximum": min(highest, most)}


def _is_required(field: Field, spec: Input | None) -> bool:
    """Whether a row without the field is refused: its default, if it has one, may not fit the input."""
    if field.default is None:
        return True
    if spec is None:
        return False
    if isinstance(field.default.json, list):
        return len(field.default.json) != math.prod(spec.row_shape)
    return field.default.json is None and spec.nulls is None


def _or_null(shape: Shape) -> Shape:
    return {"anyOf": [shape, {"type": "null"}]}
