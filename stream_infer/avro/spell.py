"""Trees written as schema JSON again: for people, for fingerprints, and for libraries."""

import json
from collections.abc import Mapping
from itertools import count
from typing import Any

from stream_infer.avro.tree import ArrayOf, AvroType, Enum, Fixed, MapOf, Primitive, Record, UnionOf

Json = Any


def full(avro_type: AvroType, defined: set[str] | None = None) -> Json:  # noqa: PLR0911 -- a return for each Avro type
    """Return the schema as people write it: names, aliases, defaults and logical types kept, each name defined once."""
    defined = set() if defined is None else defined
    match avro_type:
        case Primitive():
            return _with_logical(avro_type, {"type": avro_type.kind}) if avro_type.logical else avro_type.kind
        case ArrayOf():
            return {"type": "array", "items": full(avro_type.items, defined)}
        case MapOf():
            return {"type": "map", "values": full(avro_type.values, defined)}
        case UnionOf():
            return [full(each, defined) for each in avro_type.branches]
        case _ if avro_type.name in defined:
            return avro_type.name
    defined.add(avro_type.name)
    match avro_type:
        case Enum():
            default = {} if avro_type.default is None else {"default": avro_type.default}
            return {"type": "enum", "name": avro_type.name, "symbols": list(avro_type.symbols), **default}
        case Fixed():
            return _with_logical(avro_type, {"type": "fixed", "name": avro_type.name, "size": avro_type.size})
        case Record():
            return {"type": "record", "name": avro_type.name, "fields": _fields(avro_type, defined)}


def canonical(avro_type: AvroType) -> str:
    """Return Avro's Parsing Canonical Form, of which fingerprints are made."""
    return json.dumps(_canonical(avro_type, set()), separators=(",", ":"), ensure_ascii=False)


def _canonical(avro_type: AvroType, defined: set[str]) -> Json:  # noqa: PLR0911 -- a return for each Avro type
    match avro_type:
        case Primitive():
            return avro_type.kind
        case ArrayOf():
            return {"type": "array", "items": _canonical(avro_type.items, defined)}
        case MapOf():
            return {"type": "map", "values": _canonical(avro_type.values, defined)}
        case UnionOf():
            return [_canonical(each, defined) for each in avro_type.branches]
        case _ if avro_type.name in defined:
            return avro_type.name
    defined.add(avro_type.name)
    match avro_type:
        case Enum():
            return {"name": avro_type.name, "type": "enum", "symbols": list(avro_type.symbols)}
        case Fixed():
            return {"name": avro_type.name, "type": "fixed", "size": avro_type.size}
        case Record():
            fields = [{"name": each.name, "type": _canonical(each.type, defined)} for each in avro_type.fields]
            return {"name": avro_type.name, "type": "record", "fields": fields}


class Plain:
    """Writes types without logical types, aliases and defaults, under names of its own: `t0`, `t1`, ...

    So a library is shown nothing but the encoding, and types that are equal in all but name can be told to be one.
    """

    def __init__(self) -> None:
        self._numbers = count()

    def name(self) -> str:
        """Return a name that was not used before."""
        return f"t{next(self._numbers)}"

    def spell(self, avro_type: AvroType) -> Json:  # noqa: PLR0911 -- a return for each Avro type
        """Return the schema of the encoding."""
        match avro_type:
            case Primitive():
                return avro_type.kind
            case Fixed():
                return {"type": "fixed", "name": self.name(), "size": avro_type.size}
            case Enum():
                return {"type": "enum", "name": self.name(), "symbols": list(avro_type.symbols)}
            case ArrayOf():
                return {"type": "array", "items": self.spell(avro_type.items)}
            case MapOf():
                return {"type": "map", "values": self.spell(avro_type.values)}
            case UnionOf():
                return [self.spell(each) for each in avro_type.branches]
            case Record():
                return self.record({each.name: self.spell(each.type) for each in avro_type.fields})

    def record(self, fields: Mapping[str, Json], name: str | None = None) -> Json:
        """Return the schema of a record with the given fields."""
        listed = [{"name": key, "type": value} for key, value in fields.items()]
        return {"type": "record", "name": name or self.name(), "fields": listed}


def _fields(record: Record, defined: set[str]) -> list[Json]:
    spelled = []
    for each in record.fields:
        entry: dict[str, Json] = {"name": each.name, "type": full(each.type, defined)}
        if each.aliases:
            entry["aliases"] = list(each.aliases)
        if each.default is not None:
            entry["default"] = each.default.json
        spelled.append(entry)
    return spelled


def _with_logical(avro_type: Primitive | Fixed, spelled: dict[str, Json]) -> Json:
    if avro_type.logical is not None:
        spelled["logicalType"] = avro_type.logical
    if avro_type.logical == "decimal":
        spelled |= {"precision": avro_type.precision, "scale": avro_type.scale}
    return spelled
