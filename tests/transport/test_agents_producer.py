"""The producer of users' own agents, on librdkafka's mock cluster."""

import asyncio
from typing import Any

import faust
import pytest
from confluent_kafka import KafkaException
from yarl import URL

from stream_infer.pipeline.inbox import Inbox
from stream_infer.testing.clock import HandClock
from stream_infer.testing.mock_cluster import MockCluster
from stream_infer.transport.credit import Credit
from stream_infer.transport.feed import Feed
from stream_infer.transport.link import Link, attach
from stream_infer.transport.plugin import Transport
from stream_infer.transport.producer import Producer

WITHIN_S = 30.0
OFTEN = {"statistics.interval.ms": 50, "log_level": 0}


def make(properties: dict[str, Any]) -> Producer:
    app = faust.App("agents-producer", broker="rdkafka://localhost", autodiscover=False)
    feed = Feed(
        properties={},
        reset="earliest",
        read_whole=frozenset(),
        credit=Credit(records=1, size_bytes=1),
        inbox=Inbox(),
        clock=HandClock(),
    )
    link = Link(
        input_topics=("in",),
        retry_topic="retry",
        feed=feed,
        producer_properties=properties,
        shutdown_timeout_s=1.0,
        before_subscribe=lambda _: None,
        after_close=lambda _: None,
        failed=lambda _: None,
    )
    attach(app, link)
    return Producer(Transport([URL("rdkafka://localhost")], app))


def test_a_record_is_delivered_and_one_of_a_producer_that_knows_of_no_broker_fails_and_can_be_sent_again() -> None:
    async def send() -> int:
        properties: dict[str, Any] = dict(OFTEN)
        producer = make(properties)
        await producer.start()
        lost = await producer.send("out", b"k", b"lost", None, None, {})
        properties["bootstrap.servers"] = cluster.bootstrap_servers
        with pytest.raises(KafkaException, match="_PURGE_QUEUE"):
            await asyncio.wait_for(lost, WITHIN_S)
        again = await producer.send("out", b"k", b"again", 0, None, {})
        metadata = await asyncio.wait_for(again, WITHIN_S)
        await producer.stop()
        return metadata.offset

    with MockCluster() as cluster:
        cluster.create_topics(["out"])
        assert asyncio.run(send()) == 0
