"""JSON values as the Avro values of a schema: what a line of `stream-infer produce` and a request may say."""

import base64
import binascii
import difflib
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from stream_infer.avro.build import default_value
from stream_infer.avro.match import kind
from stream_infer.avro.tree import ArrayOf, AvroType, Enum, Fixed, MapOf, Primitive, Record, UnionOf

MICROSECOND: Final = timedelta(microseconds=1)
MIDNIGHT: Final = datetime(1970, 1, 1, tzinfo=UTC)
PER_MICROSECOND: Final = {"millis": 1000, "micros": 1}
LIMITS: Final = {"int": 2**31, "long": 2**63}
# From here on a number rounds to infinity; a double's limit is a whole number, which no double is.
REAL_LIMITS: Final = {"float": 3.4028235677973366e38, "double": 2**1024 - 2**970}
WHOLE: Final = "the value"
NON_FINITE: Final = frozenset({"NaN", "Infinity", "-Infinity"})


class Misfit(ValueError):
    """A value is not what the schema says; the text names the field, what was found and what was expected.

    `path` is the field's alone, `WHOLE` where it is not one field.
    """

    def __init__(self, text: str, *, path: str = WHOLE) -> None:
        super().__init__(text)
        self.path = path


def from_json(value: Any, avro_type: AvroType, *, path: str = WHOLE) -> Any:  # noqa: PLR0911 - a return for each type
    """Return a decoded JSON value as fastavro writes it under the plain schema of `avro_type`.

    Times are ISO 8601 text or the number that Avro keeps; bytes are base64 text; decimals are text or numbers; a field
    that is left out takes its default. Raises `Misfit`.
    """
    match avro_type:
        case Record():
            return _record(value, avro_type, path)
        case ArrayOf():
            items = _expect(value, list, avro_type, path)
            return [from_json(item, avro_type.items, path=f"{path}[{at}]") for at, item in enumerate(items)]
        case MapOf():
            entries = _expect(value, dict, avro_type, path)
            return {key: from_json(item, avro_type.values, path=f"{path}.{key}") for key, item in entries.items()}
        case UnionOf():
            return _union(value, avro_type, path)
        case Enum():
            return (
                value if value in avro_type.symbols else _misfit(value, f"one of {', '.join(avro_type.symbols)}", path)
            )
        case Fixed():
            return _fixed(value, avro_type, path)
        case Primitive():
            return _primitive(value, avro_type, path)


def instant(at: datetime, logical: str | None) -> int | None:
    """Return a moment as a timestamp of a logical type, None when that is no timestamp; without a zone it is UTC."""
    unit = (logical or "").rpartition("-")[2]
    if "timestamp" not in (logical or "") or unit not in PER_MICROSECOND:
        return None
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    return (aware - MIDNIGHT) // MICROSECOND // PER_MICROSECOND[unit]


def _record(value: Any, record: Record, path: str) -> dict[str, Any]:
    given: Mapping[str, Any] = _expect(value, dict, record, path)
    known = {field.name: field for field in record.fields}
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
            hint = f": {near[0]} is near" if near else ""
            inner = _below(path, name)
            raise Misfit(f"{inner} is no field of {record.name}, expected one that is{hint}", path=inner)
    filled = {}
    for name, field in known.items():
        if name in given:
            filled[name] = from_json(given[name], field.type, path=_below(path, name))
        elif field.default is not None:
            filled[name] = default_value(field.type, field.default.json)
        else:
            inner = _below(path, name)
            raise Misfit(f"{inner} is missing, expected {_words(field.type)}", path=inner)
    return filled


def _union(value: Any, union: UnionOf, path: str) -> Any:
    for branch in union.branches:
        try:
            return from_json(value, branch, path=path)
        except Misfit as misfit:
            if len(union.present) == 1 and branch in union.present and value is not None:
                raise misfit from None
    return _misfit(value, _words(union), path)


def _primitive(value: Any, primitive: Primitive, path: str) -> Any:
    match primitive.kind:
        case "null":
            return None if value is None else _misfit(value, "null", path)
        case "boolean":
            return _expect(value, bool, primitive, path)
        case "string":
            return _expect(value, str, primitive, path)
        case "bytes":
            return _decimal(value, primitive, path) if primitive.logical == "decimal" else _base64(value, path)
        case "float" | "double":
            return _real(value, primitive, path)
        case _:
            return _whole(value, primitive, path)


def _whole(value: Any, primitive: Primitive, path: str) -> int:
    number = _moment(value, primitive.logical, path) if isinstance(value, str) and primitive.logical else value
    limit = LIMITS[primitive.kind]
    if isinstance(number, bool) or not isinstance(number, int) or not -limit <= number < limit:
        return int(_misfit(value, _words(primitive), path))
    return number


def _moment(text: str, logical: str, path: str) -> int | None:
    unit = logical.rpartition("-")[2]
    try:
        if logical == "date":
            return (date.fromisoformat(text) - MIDNIGHT.date()).days
        if logical.startswith("time-"):
            at = time.fromisoformat(text)
            since = timedelta(hours=at.hour, minutes=at.minute, seconds=at.second, microseconds=at.microsecond)
            return since // MICROSECOND // PER_MICROSECOND[unit]
        return instant(datetime.fromisoformat(text), logical)
    except (ValueError, KeyError):
        return int(_misfit(text, f"ISO 8601 text or a number ({logical})", path))


def _real(value: Any, primitive: Primitive, path: str) -> float:
    if isinstance(value, str) and value in NON_FINITE:
        return float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return float(_misfit(value, "a number", path))
    if REAL_LIMITS[primitive.kind] <= abs(value) < float("inf"):
        return float(_misfit(value, f"a number that a {primitive.kind} holds", path))
    return float(value)


def _fixed(value: Any, fixed: Fixed, path: str) -> bytes:
    if fixed.logical == "decimal":
        return _decimal(value, fixed, path)
    content = _base64(value, path)
    return content if len(content) == fixed.size else bytes(_misfit(value, f"{fixed.size} bytes in base64", path))


def _base64(value: Any, path: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (TypeError, ValueError, binascii.Error):
        return bytes(_misfit(value, "bytes in base64", path))


def _decimal(value: Any, decimal: Primitive | Fixed, path: str) -> bytes:
    words = f"a decimal of {decimal.precision} digits, {decimal.scale} of them after the point"
    try:
        scaled = Decimal(str(value)).scaleb(decimal.scale)
        whole = int(scaled)
        size = decimal.size if isinstance(decimal, Fixed) else whole.bit_length() // 8 + 1
        content = whole.to_bytes(size, "big", signed=True)
    except (InvalidOperation, ValueError, OverflowError):
        return bytes(_misfit(value, words, path))
    return content if scaled == whole and abs(whole) < 10**decimal.precision else bytes(_misfit(value, words, path))


def _expect(value: Any, python: type, avro_type: AvroType, path: str) -> Any:
    return value if isinstance(value, python) else _misfit(value, _words(avro_type), path)


def _misfit(value: Any, expected: str, path: str) -> Any:
    shown = repr(value)
    shown = shown if len(shown) <= 60 else shown[:57] + "..."  # noqa: PLR2004
    raise Misfit(f"{path} is {shown}, expected {expected}", path=path)


def _words(avro_type: AvroType) -> str:
    if isinstance(avro_type, UnionOf):
        return " or ".join(_words(branch) for branch in avro_type.branches)
    logical = getattr(avro_type, "logical", None)
    return f"{kind(avro_type)} ({logical})" if logical else kind(avro_type)


def _below(path: str, name: str) -> str:
    return name if path == WHOLE else f"{path}.{name}"
