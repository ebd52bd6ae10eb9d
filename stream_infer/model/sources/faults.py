"""Whose fault a failed read is: the source is away for now, or the version is not to be had as asked."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final

from stream_infer.errors import Retry, Stop, StreamInferError
from stream_infer.settings.secrets import without_password

MOST_CHARACTERS: Final = 200
EXTRAS: Final = {"s3": "s3", "s3a": "s3", "models": "mlflow"}
_LATER: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
_GONE: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
# What a server's "no" is turned into, and a full disk on this side; every other code may pass.
_FINAL_CODES: Final = frozenset(
    {errno.EINVAL, errno.EPERM, errno.ENOSYS, errno.ENAMETOOLONG, errno.EMSGSIZE, errno.ENOSPC, errno.EROFS}
)
_FINAL_KINDS: Final = (
    PermissionError,
    IsADirectoryError,
    NotADirectoryError,
    ValueError,
    TypeError,
    NotImplementedError,
)


class NotThere(Stop):
    """What was asked for does not exist at the source."""


@contextmanager
def reading(label: str, *, scheme: str) -> Iterator[None]:
    """Raise one sentence about `label` in place of whatever a source's library raises.

    Retry when the source is away for now; NotThere when it has no such thing; Stop when it is refused or cannot be read
    by this installation.
    """
    try:
        yield
    except StreamInferError:
        raise
    except ImportError as error:
        raise _missing(label, scheme, error) from error
    except Exception as error:  # each source's library has errors of its own
        raise _judged(label, error) from error


def _missing(label: str, scheme: str, error: ImportError) -> Stop:
    extra = EXTRAS.get(scheme)
    wanted = f"the extra {extra}" if extra else f"the package that reads {scheme}://"
    return Stop(f"{label} cannot be read by this installation, expected {wanted} to be installed: {_why(error)}")


def _judged(label: str, error: Exception) -> StreamInferError:
    status = _status(error)
    if isinstance(error, FileNotFoundError) or status in _GONE:
        return NotThere(f"{label} is not there")
    if _is_final(error, status):
        return Stop(f"{label} cannot be read: {_why(error)}")
    return Retry(f"{label} cannot be read for now: {_why(error)}")


def _is_final(error: Exception, status: int | None) -> bool:
    if isinstance(error, TimeoutError | ConnectionError):
        return False
    if status is not None:
        return HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _LATER
    # Without credentials it never works; the libraries share no base class for that.
    without_credentials = "Credentials" in type(error).__name__
    is_no = isinstance(error, OSError) and error.errno in _FINAL_CODES
    return without_credentials or is_no or isinstance(error, _FINAL_KINDS)


def _status(error: Exception) -> int | None:
    """Return the HTTP status that an error carries under one of its usual names."""
    for carrier in (error, getattr(error, "response", None)):
        for name in ("status", "status_code", "code"):
            value = getattr(carrier, name, None)
            if isinstance(value, int):
                return value
    ask = getattr(error, "get_http_status_code", None)  # MLflow's
    return int(ask()) if callable(ask) else None


def _why(error: Exception) -> str:
    words = without_password(" ".join(str(error).split())) or type(error).__name__
    return words if len(words) <= MOST_CHARACTERS else words[: MOST_CHARACTERS - 3] + "..."
