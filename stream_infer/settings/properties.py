"""Client properties that the worker sets itself: refused under `properties`, with the setting to use instead."""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Final

_DELIVERS: Final = "the worker always waits until every output is delivered"
_COMMITS: Final = "the worker commits itself, see delivery.commit_interval_ms"
_CALLBACK: Final = "it takes a Python function"

_KAFKA: Final[Mapping[str, str]] = {
    "bootstrap.servers": "use kafka.bootstrap_servers",
    "metadata.broker.list": "use kafka.bootstrap_servers",
    "group.id": "use application_id",
    "client.id": "use worker_id",
    "transactional.id": "it is made of application_id and worker_id",
    "transaction.timeout.ms": "use delivery.transaction_timeout_ms",
    "enable.auto.commit": _COMMITS,
    "auto.commit.enable": _COMMITS,
    "auto.commit.interval.ms": _COMMITS,
    "enable.auto.offset.store": _COMMITS,
    "auto.offset.reset": "use kafka.auto_offset_reset",
    "enable.partition.eof": "the worker does not read to an end",
    "partition.assignment.strategy": "it is always cooperative-sticky; group.protocol may be consumer",
    "enable.idempotence": "it is always on",
    "acks": _DELIVERS,
    "request.required.acks": _DELIVERS,
    "message.timeout.ms": _DELIVERS,
    "delivery.timeout.ms": _DELIVERS,
    "delivery.report.only.error": _DELIVERS,
    "error_cb": _CALLBACK,
    "stats_cb": _CALLBACK,
    "throttle_cb": _CALLBACK,
    "oauth_cb": _CALLBACK,
    "logger": _CALLBACK,
    "on_commit": _CALLBACK,
    "on_delivery": _CALLBACK,
    "default.topic.config": "name its properties one by one",
}
_REGISTRY: Final[Mapping[str, str]] = {"url": "use schema_registry.url"}


class OwnedBy(Enum):
    """Which table of owned properties applies."""

    WORKER = "worker"
    REGISTRY = "registry"


_TABLES: Final[Mapping[OwnedBy, Mapping[str, str]]] = {OwnedBy.WORKER: _KAFKA, OwnedBy.REGISTRY: _REGISTRY}


def refuse_owned(owner: OwnedBy) -> Callable[[str], str]:
    """Return a check that passes a property's name on, and raises ValueError for one that is not the user's to set."""
    table = _TABLES[owner]

    def check(name: str) -> str:
        if name in table:
            raise ValueError(f"is not set here, expected it left out: {table[name]}")
        return name

    return check
