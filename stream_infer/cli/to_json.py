"""Avro values as JSON values: what a line of `stream-infer consume` says. `from_json` takes all of it back."""

import base64
import math
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from typing import Any, Final

from stream_infer.avro.build import fits
from stream_infer.avro.tree import ArrayOf, AvroType, Enum, Fixed, MapOf, Primitive, Record, UnionOf
from stream_infer.records import Headers

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROS: Final = {"millis": 1000, "micros": 1}
EXACT: Final = Context(prec=200)


def to_json(value: Any, avro_type: AvroType) -> Any:
    """Return a value, as Avro encodes it (numbers for times, bytes for decimals), as JSON can say it.

    Times become ISO 8601 text, bytes base64 text, decimals text, and numbers that are not finite text.
    """
    match avro_type:
        case Record():
            return {field.name: to_json(value[field.name], field.type) for field in avro_type.fields}
        case ArrayOf():
            return [to_json(item, avro_type.items) for item in value]
        case MapOf():
            return {key: to_json(item, avro_type.values) for key, item in value.items()}
        case UnionOf():
            return to_json(value, next(branch for branch in avro_type.branches if _is_of(value, branch)))
        case Enum():
            return value
        case Primitive() | Fixed():
            return _scalar(value, avro_type)


def text_or_base64(content: bytes | None, *, name: str) -> dict[str, str | None]:
    """Return bytes under `name` when they are UTF-8 text, else in base64 under `<name>_base64`."""
    try:
        return {name: None if content is None else content.decode("utf-8")}
    except UnicodeDecodeError:
        return in_base64(content, name=name)


def in_base64(content: bytes | None, *, name: str) -> dict[str, str | None]:
    """Return bytes in base64 under `<name>_base64`."""
    return {f"{name}_base64": None if content is None else base64.b64encode(content).decode("ascii")}


def headers_to_json(headers: Headers | None) -> dict[str, Any]:
    """Return record headers by name: text, or `{"base64": ...}`, or null; a list where a name comes several times."""
    named: dict[str, list[Any]] = {}
    for name, content in headers or ():
        named.setdefault(name, []).append(_header(content))
    return {name: values[0] if len(values) == 1 else values for name, values in named.items()}


def iso_time(milliseconds: int) -> str:
    """Return milliseconds since the epoch as ISO 8601 text in UTC."""
    return (EPOCH + timedelta(milliseconds=milliseconds)).isoformat(timespec="milliseconds")


def _header(content: bytes | None) -> str | dict[str, str] | None:
    try:
        return None if content is None else content.decode("utf-8")
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content or b"").decode("ascii")}


def _scalar(value: Any, scalar: Primitive | Fixed) -> Any:
    if scalar.logical == "decimal" and isinstance(value, bytes):
        unscaled = int.from_bytes(value, "big", signed=True)
        return str(Decimal(unscaled).scaleb(-scalar.scale, EXACT))
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, int) and scalar.logical:
        return _time(value, scalar.logical)
    return value


def _time(value: int, logical: str) -> str | int:
    """Return a time as ISO 8601 text; the number itself when Python's calendar does not reach that far."""
    unit = MICROS.get(logical.rpartition("-")[2])
    try:
        if logical == "date":
            return (EPOCH + timedelta(days=value)).date().isoformat()
        if unit is None:
            return value
        at = EPOCH + timedelta(microseconds=value * unit)
        if logical.startswith("time-"):
            return at.time().isoformat()
        return at.replace(tzinfo=None).isoformat() if logical.startswith("local-") else at.isoformat()
    except OverflowError:
        return value


def _is_of(value: Any, branch: AvroType) -> bool:
    if isinstance(branch, Record) and isinstance(value, dict):
        return set(value) == {field.name for field in branch.fields}
    if isinstance(branch, Enum):
        return value in branch.symbols
    if isinstance(branch, Fixed):
        return isinstance(value, bytes) and len(value) == branch.size
    return fits(value, branch) and not (isinstance(value, str) and _is_bytes(branch))


def _is_bytes(branch: AvroType) -> bool:
    return isinstance(branch, Primitive) and branch.kind == "bytes"
