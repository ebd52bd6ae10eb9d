"""The extension in `_rows.c`, where it was built, and clients that have it as their plugin."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

from stream_infer.errors import Stop

if TYPE_CHECKING:
    from stream_infer.transport._rows import Handle

try:
    from stream_infer.transport import _rows
except ImportError as _missing:
    WHY_NOT: str | None = str(_missing)
else:
    WHY_NOT = None
"""Why there is no extension; None when there is one."""

Client = TypeVar("Client")
PLUGINS: Final = "plugin.library.paths"


def with_plugin(make: Callable[[dict[str, Any]], Client], properties: Mapping[str, Any]) -> "tuple[Client, Handle]":
    """Return a client that has the extension as its plugin, beside those of `properties`, and the handle to it."""
    plugins = ";".join(str(each) for each in (properties.get(PLUGINS), _rows.__file__) if each)
    handle = _rows.expect()
    client = make({**properties, PLUGINS: plugins})
    if not _rows.is_attached(handle):
        raise Stop(f"librdkafka made a client without its plugin {_rows.__file__}")
    return client, handle
