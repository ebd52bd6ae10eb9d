"""Which field, branch or symbol of the writer's type stands for which of the reader's: Avro's rules in one place.

Names of records, enums and fixed types are compared only to choose between branches of a union: a worker is pointed at
topics whose types are called anything.
"""

from typing import Final

from stream_infer.avro.tree import ArrayOf, AvroType, Enum, Field, Fixed, MapOf, Primitive, Record, UnionOf

PROMOTIONS: Final = {
    "int": ("long", "float", "double"),
    "long": ("float", "double"),
    "float": ("double",),
    "string": ("bytes",),
    "bytes": ("string",),
}


def writer_field(writer: Record, wanted: Field) -> Field | None:
    """Return the writer's field for a field of the reader: by name, else by the reader's aliases, else None."""
    by_name = {each.name: each for each in writer.fields}
    return next((by_name[name] for name in (wanted.name, *wanted.aliases) if name in by_name), None)


def branches(avro_type: AvroType) -> tuple[AvroType, ...]:
    """Return the types that a value may have."""
    return avro_type.branches if isinstance(avro_type, UnionOf) else (avro_type,)


def reader_branch(writer: AvroType, options: tuple[AvroType, ...]) -> AvroType | None:
    """Return the reader's branch for one branch of the writer.

    The same kind and name is best, then the same kind, then the first promotion, else None.
    """
    same_kind = [each for each in options if kind(each) == kind(writer)]
    same_name = [each for each in same_kind if _short_name(each) == _short_name(writer)]
    promoted = [each for each in options if kind(each) in PROMOTIONS.get(kind(writer), ())]
    return next(iter((*same_name, *same_kind, *promoted)), None)


def kind(avro_type: AvroType) -> str:
    """Return Avro's word for the type."""
    if isinstance(avro_type, Primitive):
        return avro_type.kind
    words = {Record: "record", Enum: "enum", Fixed: "fixed", ArrayOf: "array", MapOf: "map", UnionOf: "union"}
    return words[type(avro_type)]


def logical_conflict(writer: Primitive | Fixed, reader: Primitive | Fixed) -> bool:
    """Return whether both carry logical types under which one number means two things, as millis and micros do."""
    if writer.logical is None or reader.logical is None:
        return False
    if "decimal" in {writer.logical, reader.logical}:
        return (writer.logical, writer.scale) != (reader.logical, reader.scale)
    unit = [each.logical.rpartition("-")[2] for each in (writer, reader) if each.logical and "-" in each.logical]
    return len(set(unit)) > 1


def _short_name(avro_type: AvroType) -> str:
    return str(getattr(avro_type, "name", "")).rpartition(".")[2]
