"""Reads JSON that a person typed, or an attacker made: what is refused is refused with one sentence.

What is refused never depends on the machine, so that every worker that reads a log comes to the same state.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from unicodedata import category

from stream_infer.errors import StreamInferError

LIMIT_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 32
LARGEST_WHOLE: Final = 2**63 - 1
MAX_DIGITS: Final = 19
SHOWN: Final = 60
UNPRINTED: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Unicode's control characters, halves of surrogate pairs, and what ends a line or a paragraph."""


class BadRecord(StreamInferError):
    """A record cannot be used; the text says in one sentence which field, what was found and what was expected."""


@dataclass(frozen=True, slots=True)
class Fields:
    """A JSON object: each method reads one field and raises `BadRecord` where it is not what it should be.

    A field that is null is as good as absent. `path` is what the names of the fields begin with in a refusal.
    """

    values: Mapping[str, Any]
    path: str = ""

    def text(self, name: str) -> str | None:
        """Return a text that is not empty and has no control characters; None when absent."""
        value = self.values.get(name)
        if value is None:
            return None
        if isinstance(value, int | float) and not isinstance(value, bool):
            raise self.refusal(name, f'text in quotes: "{_shown(value)}"')
        if not isinstance(value, str) or not value or value != _on_one_line(value):
            raise self.refusal(name, "text of at least one character, none of them a control character")
        return value

    def required_text(self, name: str) -> str:
        """Return a text as `text` does; absence is refused."""
        value = self.text(name)
        if value is None:
            raise self.refusal(name, "text")
        return value

    def note(self, name: str) -> str | None:
        """Return a text for people, with a space for each control character; None when absent or empty."""
        value = self.values.get(name)
        if not isinstance(value, str | None):
            raise self.refusal(name, "text")
        return _on_one_line(value) if value else None

    def whole(self, name: str, *, at_least: int) -> int | None:
        """Return a whole number from `at_least` to 2**63 - 1, not true or false; None when absent."""
        value = self.values.get(name)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not at_least <= value <= LARGEST_WHOLE:
            raise self.refusal(name, f"a whole number from {at_least} to {LARGEST_WHOLE}")
        return value

    def number(self, name: str, *, at_most: float) -> float | None:
        """Return a number from 0 to `at_most`; None when absent."""
        value = self.values.get(name)
        if value is None:
            return None
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= at_most:
            raise self.refusal(name, f"a number from 0 to {at_most:g}")
        return float(value)

    def flag(self, name: str) -> bool:
        """Return true or false; false when absent."""
        value = self.values.get(name)
        if value is not None and not isinstance(value, bool):
            raise self.refusal(name, "true or false")
        return bool(value)

    def inner(self, name: str) -> "Fields | None":
        """Return an object inside this one; None when absent."""
        value = self.values.get(name)
        return None if value is None else self._fields(name, value)

    def inners(self, name: str) -> "tuple[Fields, ...]":
        """Return the objects of a list; none when absent."""
        return tuple(self._fields(f"{name}[{row}]", value) for row, value in enumerate(self._list(name)))

    def texts(self, name: str) -> tuple[str, ...]:
        """Return the texts of a list; none when absent."""
        values = self._list(name)
        if not all(isinstance(value, str) for value in values):
            raise self.refusal(name, "a list of texts")
        return tuple(values)

    def refusal(self, name: str, expected: str) -> BadRecord:
        """Return the error for a field that is not as expected."""
        found = self.values.get(name)
        if found is None:
            return BadRecord(f"{self.path}{name} is missing, expected {expected}")
        return BadRecord(f"{self.path}{name} is {_shown(found)}, expected {expected}")

    def _list(self, name: str) -> list[Any]:
        value = self.values.get(name)
        if value is not None and not isinstance(value, list):
            raise self.refusal(name, "a list")
        return value or []

    def _fields(self, name: str, value: object) -> "Fields":
        if not isinstance(value, dict):
            raise BadRecord(f"{self.path}{name} is {_shown(value)}, expected an object")
        return Fields(value, f"{self.path}{name}.")


def read_object(value: bytes) -> Fields:
    """Return the JSON object in `value`, UTF-8; raises `BadRecord` for anything else.

    Refused beyond JSON's own rules: more than 1 MiB, more than 32 levels, a name twice in one object, NaN and Infinity,
    numbers that a double or 64 bits cannot hold.
    """
    if len(value) > LIMIT_BYTES:
        raise BadRecord(f"the record has {len(value)} bytes, expected at most {LIMIT_BYTES}")
    parsed = _parse(value)
    if not isinstance(parsed, dict):
        raise BadRecord(f"the record is {_shown(parsed)}, expected a JSON object")
    if _is_deeper_than(MAX_DEPTH, parsed):
        raise BadRecord(f"the record nests deeper than {MAX_DEPTH} levels, expected at most that")
    return Fields(parsed)


def _parse(value: bytes) -> object:
    try:
        return json.loads(
            value.decode(),
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_float=_finite,
            parse_int=_short,
        )
    except UnicodeDecodeError as error:
        raise BadRecord(f"the record is no UTF-8 at byte {error.start}, expected JSON") from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise BadRecord(f"the record is no JSON at {where} ({error.msg}), expected a JSON object") from error
    except RecursionError as error:
        raise BadRecord(f"the record nests deeper than {MAX_DEPTH} levels, expected at most that") from error


def _unique(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise BadRecord(f"the record names {_shown(name)} twice in one object, expected once")
        found[name] = value
    return found


def _no_constant(text: str) -> float:
    raise BadRecord(f"the record holds {text}, expected a number as JSON has them")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise BadRecord(f"the record holds the number {text[:SHOWN]}, expected one that a double can hold")
    return number


def _short(text: str) -> int:
    if len(text.lstrip("-")) > MAX_DIGITS:
        raise BadRecord(f"the record holds the whole number {text[:SHOWN]}, expected at most {MAX_DIGITS} digits")
    return int(text)


def _is_deeper_than(limit: int, value: object) -> bool:
    level = [value]
    for _ in range(limit):
        level = [inner for outer in level for inner in _children(outer)]
    return bool(level)


def _children(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _on_one_line(text: str) -> str:
    return text if text.isprintable() else "".join(" " if category(sign) in UNPRINTED else sign for sign in text)


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    text = json.dumps(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
