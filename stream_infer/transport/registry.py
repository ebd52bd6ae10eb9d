"""Schemas from a Confluent Schema Registry, and how its failures are taken."""

import json
import weakref
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from http import HTTPStatus
from typing import Any, Final, TypeVar

from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, SchemaRegistryError

from stream_infer.avro.registry import SchemaNotFound
from stream_infer.errors import Retry, Stop, WrongUse
from stream_infer.settings import Settings
from stream_infer.settings.secrets import without_password
from stream_infer.transport.clients import read_secret
from stream_infer.transport.references import inline

T = TypeVar("T")

# The client waits for ever by default; and whoever asks tries again, so that the client need not for long.
DEFAULTS: Final = {"timeout": "10", "max.retries": "1", "retries.wait.ms": "200"}
NUMBERS: Final = frozenset(
    {"timeout", "cache.capacity", "cache.latest.ttl.sec", "max.retries", "retries.wait.ms", "retries.max.wait.ms"}
)
AWAY: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
NO_ACCESS: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


class RegistrySource:
    """A `SchemaSource` over confluent-kafka's client: `schema_registry.url` with its properties.

    Every method may raise `Retry` while the registry is away and `Stop` when it does not let this user in. Connections
    are closed by `close`, at the latest when nobody holds the object any more. `asked` is called before each look-up of
    a schema.
    """

    def __init__(self, settings: Settings, *, asked: Callable[[], None] = lambda: None) -> None:
        self._asked = asked
        self._url = without_password(settings.schema_registry.url or "")
        self._auto_register = settings.schema_registry.auto_register
        resources = ExitStack()
        self._client: SchemaRegistryClient = resources.enter_context(_client(registry_config(settings)))
        self.close = weakref.finalize(self, resources.close)

    def schema_by_id(self, schema_id: int) -> str:
        """Return a schema's JSON, references put in place; raises `SchemaNotFound`."""
        self._asked()
        return self._whole(self._ask(lambda: self._client.get_schema(schema_id), what=f"schema id {schema_id}"))

    def schema_by_guid(self, guid: str) -> str:
        """Return a schema's JSON by its GUID, references put in place; raises `SchemaNotFound`."""
        self._asked()
        return self._whole(self._ask(lambda: self._client.get_schema_by_guid(guid), what=f"schema GUID {guid}"))

    def register(self, subject: str, schema: str) -> int:
        """Return the id of a schema of a subject, registered now unless it was; raises `Stop` when it is refused."""
        return self._ask(
            lambda: self._client.register_schema(subject, Schema(schema, "AVRO")), what=f"subject {subject}"
        )

    def id_for(self, subject: str, schema: str) -> int:
        """Return the id under which a subject has a schema, registered now if `auto_register` allows it.

        Raises `Stop` when the subject does not have it.
        """
        if self._auto_register:
            return self.register(subject, schema)
        try:
            found = self._ask(
                lambda: self._client.lookup_schema(subject, Schema(schema, "AVRO")), what=f"subject {subject}"
            )
        except SchemaNotFound as error:
            raise Stop(
                f"Subject {subject} does not have the schema in use, expected it to be registered at {self._url}: "
                f"register it, or set schema_registry.auto_register."
            ) from error
        return int(found.schema_id or 0)

    def _whole(self, schema: Schema) -> str:
        if (schema.schema_type or "AVRO") != "AVRO":
            raise SchemaNotFound(f"The registry has a {schema.schema_type} schema there, expected Avro.")
        text = str(schema.schema_str)
        if not schema.references:
            return text
        return json.dumps(inline(json.loads(text), self._definitions(schema)))

    def _definitions(self, schema: Schema) -> Mapping[str, Any]:
        """Return what the schema refers to, and what that refers to, by full name."""
        definitions: dict[str, Any] = {}
        for reference in schema.references or ():
            subject = str(reference.subject)
            ask = partial(self._client.get_version, subject, reference.version or "latest")
            found = self._ask(ask, what=f"subject {subject}")
            definitions |= self._definitions(found.schema)
            definitions[str(reference.name)] = json.loads(str(found.schema.schema_str))
        return definitions

    def _ask(self, question: Callable[[], T], *, what: str) -> T:
        try:
            return question()
        except SchemaRegistryError as error:
            raise _translated(error, what=what, url=self._url) from error
        except Exception as error:
            # Whatever else there is means no answer: the client lets its HTTP library's errors through, and which
            # library that is depends on the client's version.
            why = without_password(f"{type(error).__name__}: {error}")
            raise Retry(f"The schema registry at {self._url} is away: {why}.") from error


def registry_config(settings: Settings) -> dict[str, Any]:
    """Return the properties of confluent-kafka's registry client."""
    registry = settings.schema_registry
    secrets = {
        name: read_secret(name, path, option="schema_registry.property_files")
        for name, path in registry.property_files.items()
    }
    chosen = DEFAULTS | registry.properties | secrets
    return {"url": registry.url, **{name: _typed(name, value) for name, value in chosen.items()}}


def _client(config: dict[str, Any]) -> SchemaRegistryClient:
    try:
        return SchemaRegistryClient(config)
    except (ValueError, TypeError, OSError) as error:
        raise WrongUse(f"schema_registry cannot be used: {without_password(str(error))}.") from error


def _typed(name: str, value: str) -> str | float | bool:
    if name == "ssl.ca.location" and value == "false":
        return False
    if name not in NUMBERS:
        return value
    try:
        return float(value)
    except ValueError as error:
        raise WrongUse(f"schema_registry.properties.{name} is {value!r}, expected a number.") from error


def _translated(error: SchemaRegistryError, *, what: str, url: str | None) -> Exception:
    status = error.http_status_code
    if status == HTTPStatus.NOT_FOUND:
        return SchemaNotFound(f"The schema registry has no {what}: {error.error_message}.")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in AWAY:
        return Retry(f"The schema registry at {url} is away: HTTP {status}, {error.error_message}.")
    if status in NO_ACCESS:
        return Stop(
            f"The schema registry at {url} answers HTTP {status} for {what}, expected it to let this user in: "
            f"see schema_registry.properties."
        )
    return Stop(f"The schema registry at {url} refuses {what}: HTTP {status}, {error.error_message}.")
