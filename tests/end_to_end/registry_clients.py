"""confluent-kafka's own Avro clients on a schema registry, and writer schemas that differ from the worker's."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext, SerializationError

from tests.checker.reading import Decode, UnreadableValueError
from tests.end_to_end.events import FIRST_TIME_MS, schema
from tests.end_to_end.job import WIDTH

Record = Mapping[str, Any]
EVENT_SCHEMA = schema("feature_event")
OWN_FIELDS: Mapping[str, Record] = {one["name"]: one for one in EVENT_SCHEMA["fields"]}


def changed(*fields: Record) -> Record:
    """Return the event's schema with `fields` in place of its own."""
    return {**EVENT_SCHEMA, "fields": list(fields)}


REORDERED = changed(*reversed(EVENT_SCHEMA["fields"]))
WITH_MORE = changed({"name": "country", "type": "string"}, *EVENT_SCHEMA["fields"])
PROMOTED = changed(
    OWN_FIELDS["entity_id"],
    OWN_FIELDS["event_id"],
    OWN_FIELDS["event_time"],
    {"name": "features", "type": {"type": "array", "items": "int"}},
)
WITHOUT_FEATURES = changed(OWN_FIELDS["event_id"], OWN_FIELDS["entity_id"], OWN_FIELDS["event_time"])


def event(number: int) -> Record:
    """Return one event with whole numbers as features, which an int can carry too."""
    return {
        "event_id": f"e{number}",
        "entity_id": f"entity-{number % 50}",
        "event_time": (FIRST_TIME_MS + number) * 1000,
        "features": [(number * 7 + column * 3) % 5 - 2 for column in range(WIDTH)],
        "country": "NL",
    }


@dataclass(slots=True)
class RegistryClients:
    """Serializers of every writer schema, and the deserializer of everything."""

    registry: SchemaRegistryClient
    _serializers: dict[str, AvroSerializer] = field(default_factory=dict)

    def serialize(self, topic: str, record: Record, written: Record = EVENT_SCHEMA) -> bytes:
        """Return a record as confluent-kafka's serializer frames it; its schema is registered on the way."""
        text = json.dumps(written)
        serializer = self._serializers.setdefault(text, AvroSerializer(self.registry, text))
        kept = {one["name"]: record[one["name"]] for one in written["fields"]}
        value = serializer(kept, SerializationContext(topic, MessageField.VALUE))
        assert isinstance(value, bytes)
        return value

    def decoder(self, topic: str) -> Decode:
        """Return a function from a framed value to its record, as confluent-kafka's deserializer reads it."""
        deserializer = AvroDeserializer(self.registry)
        context = SerializationContext(topic, MessageField.VALUE)

        def decode(value: bytes) -> Record:
            try:
                record: Any = deserializer(value, context)
            except SerializationError as error:
                raise UnreadableValueError(str(error)) from error
            return dict(record)

        return decode
