"""The names of Faust that the plug-in overrides or leans on: a new Faust must fail here first."""

import inspect
from collections.abc import Callable
from typing import Any

import faust
import pytest
from faust.app.base import App
from faust.tables.recovery import Recovery
from faust.transport.base import Transport as FaustTransport
from faust.transport.conductor import Conductor
from faust.transport.consumer import Consumer as FaustConsumer
from faust.transport.drivers import TRANSPORTS
from faust.transport.producer import Producer as FaustProducer
from faust.types.tuples import Message

from stream_infer.transport.consumer import Consumer
from stream_infer.transport.plugin import Transport
from stream_infer.transport.producer import Producer

OVERRIDDEN = {
    "_drain_messages": ["self", "fetcher"],
    "ack": ["self", "message"],
    "track_message": ["self", "message"],
    "commit": ["self", "topics", "start_new_transaction"],
    "wait_empty": ["self"],
    "perform_seek": ["self"],
    "verify_all_partitions_active": ["self"],
    "_commit": ["self", "offsets"],
    "_add_gap": ["self", "tp", "offset_from", "offset_to"],
    "subscribe": ["self", "topics"],
    "seek_to_committed": ["self"],
    "_seek": ["self", "partition", "offset"],
    "on_buffer_full": ["self", "tp"],
    "on_buffer_drop": ["self", "tp"],
}
LEANED_ON: list[tuple[Callable[..., Any], list[str]]] = [
    (FaustConsumer.__init__, ["self", "transport", "callback", "on_partitions_revoked", "on_partitions_assigned"]),
    (App._on_partitions_assigned, ["self", "assigned", "generation_id"]),
    (App.on_rebalance_start, ["self"]),
    (App.on_rebalance_return, ["self"]),
    (Conductor.on_partitions_assigned, ["self", "assigned"]),
    (Recovery.on_rebalance, ["self", "assigned", "revoked", "newly_assigned", "generation_id"]),
    (FaustTransport.__init__, ["self", "url", "app", "loop"]),
    (FaustProducer.send, ["self", "topic", "key", "value", "partition", "timestamp", "headers", "transactional_id"]),
]
CYTHON_BOOKS = ("_acked", "_acked_index", "_committed_offset", "_unacked_messages", "_n_acked", "_waiting_for_ack")


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_every_overridden_method_exists_in_faust_with_the_same_parameters(name: str) -> None:
    assert list(inspect.signature(getattr(FaustConsumer, name)).parameters) == OVERRIDDEN[name]
    assert list(inspect.signature(getattr(Consumer, name)).parameters) == OVERRIDDEN[name]


@pytest.mark.parametrize(("function", "names"), LEANED_ON)
def test_what_the_plug_in_calls_takes_what_it_is_given(function: Callable[..., Any], names: list[str]) -> None:
    assert list(inspect.signature(function).parameters)[: len(names)] == names


def test_the_timers_that_are_replaced_are_still_tasks_of_the_consumer() -> None:
    for name in ("_commit_handler", "_commit_livelock_detector"):
        assert type(inspect.getattr_static(FaustConsumer, name)).__name__ == "ServiceTask"
        assert type(inspect.getattr_static(Consumer, name)).__name__ == "ServiceTask"


@pytest.mark.parametrize("name", CYTHON_BOOKS)
def test_the_books_that_the_cython_iterator_writes_into_are_there(name: str) -> None:
    source = inspect.getsource(FaustConsumer)
    assert name in source


def test_a_message_carries_a_generation_that_the_stream_compares() -> None:
    assert "generation_id" in Message.__slots__
    assert faust.App.consumer_generation_id == 0


def test_the_transport_is_found_by_its_scheme() -> None:
    assert TRANSPORTS.by_url("rdkafka://localhost:9092") is Transport
    assert Transport.Consumer is Consumer
    assert Transport.Producer is Producer


def test_the_plug_in_leaves_no_abstract_method_open() -> None:
    assert not getattr(Consumer, "__abstractmethods__", frozenset())
    assert not getattr(Producer, "__abstractmethods__", frozenset())
