"""A schema registry in memory."""

from stream_infer.avro.registry import SchemaNotFound
from stream_infer.errors import Retry


class MemorySchemaSource:
    """A `SchemaSource` that a test fills; `away` makes it unreachable, `asked` lists every question it was asked."""

    def __init__(self) -> None:
        self.away = False
        self.asked: list[int | str] = []
        self._schemas: dict[int | str, str] = {}

    def add(self, schema: str, *, schema_id: int, guid: str | None = None) -> None:
        """Register a schema's JSON under an id, and under a GUID where one is given."""
        self._schemas[schema_id] = schema
        if guid is not None:
            self._schemas[guid] = schema

    def schema_by_id(self, schema_id: int) -> str:
        """Return the schema; raises `Retry` while `away`, `SchemaNotFound` for an id that was never added."""
        return self._answer(schema_id)

    def schema_by_guid(self, guid: str) -> str:
        """Return the schema by GUID; raises as `schema_by_id` does."""
        return self._answer(guid)

    def _answer(self, key: int | str) -> str:
        self.asked.append(key)
        if self.away:
            raise Retry("the schema registry is away")
        if key not in self._schemas:
            raise SchemaNotFound(f"there is no schema {key}")
        return self._schemas[key]
