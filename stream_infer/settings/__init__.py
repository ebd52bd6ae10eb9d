"""What can be set, read once into a frozen value: `load_settings` and the `Settings` it returns."""

from stream_infer.settings.describe import Effective, as_yaml, effective, json_schema
from stream_infer.settings.load import Loaded, load_settings, load_with_origins
from stream_infer.settings.root import Settings
from stream_infer.settings.sections import (
    Batching,
    DeadLetterLimit,
    Delivery,
    Kafka,
    Log,
    Model,
    SchemaFields,
    SchemaRegistry,
    Schemas,
    Topics,
    Web,
)

__all__ = [
    "Batching",
    "DeadLetterLimit",
    "Delivery",
    "Effective",
    "Kafka",
    "Loaded",
    "Log",
    "Model",
    "SchemaFields",
    "SchemaRegistry",
    "Schemas",
    "Settings",
    "Topics",
    "Web",
    "as_yaml",
    "effective",
    "json_schema",
    "load_settings",
    "load_with_origins",
]
