"""The whole of the settings: sections put together, what is computed from them, and what must agree."""

import os
import socket
from collections.abc import Iterator
from typing import Annotated, Any, Final

from pydantic import Field, model_validator

from stream_infer.settings.paths import user_cache
from stream_infer.settings.sections import (
    Batching,
    Delivery,
    Kafka,
    Log,
    Model,
    SchemaRegistry,
    Schemas,
    Topics,
    Tracing,
    Web,
)
from stream_infer.settings.types import COMPUTED, ComputedText, Section, matching

EXACTLY_ONCE: Final = "exactly_once_v2"

_SECTIONS: Final = (
    "kafka",
    "schema_registry",
    "topics",
    "schemas",
    "batching",
    "model",
    "delivery",
    "web",
    "tracing",
    "log",
)

# 200 leaves room for the endings of the default topics below Kafka's limit of 249.
ApplicationId = Annotated[
    str, matching(r"[a-zA-Z0-9._-]{1,200}", "1 to 200 letters, digits, dots, underscores or dashes")
]


class Settings(Section):
    """Everything that can be set, read once, frozen and complete: what was null and is computed is filled in."""

    application_id: ApplicationId = "stream-infer"
    """Consumer group; prefix of the default topics and of transactional ids."""
    worker_id: ComputedText = COMPUTED
    """Client id and part of the transactional id; null: host name and process id."""
    kafka: Kafka = Field(default_factory=Kafka)
    schema_registry: SchemaRegistry = Field(default_factory=SchemaRegistry)
    topics: Topics = Field(default_factory=Topics)
    schemas: Schemas = Field(default_factory=Schemas)
    batching: Batching = Field(default_factory=Batching)
    model: Model = Field(default_factory=Model)
    delivery: Delivery = Field(default_factory=Delivery)
    web: Web = Field(default_factory=Web)
    tracing: Tracing = Field(default_factory=Tracing)
    log: Log = Field(default_factory=Log)

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, given: dict[str, Any]) -> dict[str, Any]:
        return fill_in(given)

    @model_validator(mode="after")
    def _agree(self) -> "Settings":
        for disagreement in _disagreements(self):
            raise ValueError(disagreement)
        return self


def fill_in(given: dict[str, Any]) -> dict[str, Any]:
    """Return settings by section with every computed one that is absent or null filled in.

    Every section is there afterwards, so that defaults are checked in the same way and place as what was given.
    """
    sections = {name: dict(given.get(name) or {}) for name in _SECTIONS}
    prefix = given.get("application_id", Settings.model_fields["application_id"].default)
    exactly_once = sections["delivery"].get("processing_guarantee") == EXACTLY_ONCE
    for role in ("dead_letter", "control", "status", "retry"):
        _fill(sections["topics"], role, f"{prefix}.{role.replace('_', '-')}")
    _fill(sections["model"], "cache_directory", user_cache(os.environ))
    _fill(sections["delivery"], "commit_interval_ms", 100 if exactly_once else 1000)
    whole = {**given, **sections}
    _fill(whole, "worker_id", f"{socket.gethostname()}-{os.getpid()}")
    return whole


def _fill(section: dict[str, Any], name: str, value: object) -> None:
    if section.get(name) is None:
        section[name] = value


def _disagreements(settings: Settings) -> Iterator[str]:
    """Say, a sentence each, which settings do not go together."""
    yield from _topic_clashes(settings.topics)
    batching, schemas, registry = settings.batching, settings.schemas, settings.schema_registry
    if batching.queue_limit_records < batching.max_batch_size:
        yield (
            f"batching.queue_limit_records is {batching.queue_limit_records}, expected at least "
            f"batching.max_batch_size, {batching.max_batch_size}"
        )
    for name in ("input_format", "output_format"):
        if getattr(schemas, name) == "confluent" and registry.url is None:
            yield f"schemas.{name} is confluent, expected schema_registry.url to be set beside it"
    if registry.auto_register and registry.url is None:
        yield "schema_registry.auto_register is true, expected schema_registry.url to be set beside it"


def _topic_clashes(topics: Topics) -> Iterator[str]:
    taken = dict.fromkeys(topics.input, "topics.input")
    for role in ("output", "dead_letter", "control", "status", "retry"):
        name = getattr(topics, role)
        if name in taken:
            yield f"topics.{role} is {name}, expected another topic than {taken[name]}"
        taken[name] = f"topics.{role}"
