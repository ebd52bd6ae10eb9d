"""Why a request is not answered with predictions: a status, one sentence, and what is wrong with which row."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

MOST_FAULTS: Final = 20
"""Rows that one answer names at most."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one row, `row` counting from 0; `field` is the dotted path where it is about one field."""

    row: int
    message: str
    field: str | None = None


class Refused(Exception):
    """The request is answered with `status` and `body`."""

    def __init__(self, status: HTTPStatus, message: str, *, more: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": message, **(more or {})}


def unprocessable(faults: Iterable[Fault], *, single: bool) -> Refused:
    """Return the refusal of rows that cannot be scored; `single` says that the request holds one row without a list."""
    found = sorted(faults, key=lambda one: one.row)
    first = found[0].message if single else f"row {found[0].row}: {found[0].message}"
    errors = [_shown(one, single=single) for one in found[:MOST_FAULTS]]
    return Refused(HTTPStatus.UNPROCESSABLE_ENTITY, first, more={"errors": errors})


def unready(reasons: Sequence[str]) -> Refused:
    """Return the refusal of a worker that does not score now."""
    return Refused(HTTPStatus.SERVICE_UNAVAILABLE, "the worker is not ready", more={"reasons": list(reasons)})


def _shown(fault: Fault, *, single: bool) -> dict[str, Any]:
    row = {} if single else {"row": fault.row}
    return {**row, "field": fault.field, "message": fault.message}
