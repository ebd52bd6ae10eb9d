"""What a transactional sink makes of every error that brokers give, injected into librdkafka's mock cluster."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest
from confluent_kafka import Consumer, KafkaError

from stream_infer.errors import Stop, Undone
from stream_infer.packed import Packed
from stream_infer.pipeline.ports import Outgoing
from stream_infer.records import Partition, Position
from stream_infer.testing.clock import HandClock
from stream_infer.testing.mock_cluster import MockCluster, Request
from stream_infer.transport.transaction import FENCES, TransactionalSink

WITHIN_S = 10.0
POSITIONS = {Partition("in", 0): Position(1, 7)}
ONE = Outgoing("out", keys=[None], values=Packed(pa.array([b"x"])), timestamps_ms=np.array([-1]))
E = KafkaError
STALE_MEMBER_EPOCH = 113


@pytest.fixture(scope="module")
def cluster() -> Iterator[MockCluster]:
    with MockCluster() as cluster:
        cluster.create_topics(["in", "out"])
        yield cluster


@pytest.fixture
def membership(cluster: MockCluster) -> Iterator[object]:
    consumer = Consumer({"bootstrap.servers": cluster.bootstrap_servers, "group.id": "g", "log_level": 0})
    yield consumer.consumer_group_metadata()
    consumer.close()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def sink(cluster: MockCluster, clock: HandClock) -> TransactionalSink:
    return make(cluster, clock)


PROPERTIES = {
    "transactional.id": "worker",
    "transaction.timeout.ms": 10_000,
    "message.timeout.ms": 10_000,
    "retry.backoff.ms": 20,
    "metadata.recovery.strategy": "none",
    "delivery.report.only.error": True,
    "log_level": 0,
}


def make(cluster: MockCluster, clock: HandClock) -> TransactionalSink:
    made = TransactionalSink({**PROPERTIES, "bootstrap.servers": cluster.bootstrap_servers}, clock=clock)
    recover(made, clock)
    return made


def recover(sink: TransactionalSink, clock: HandClock) -> None:
    """Wait until a transaction can begin; the clock is moved over the pauses."""
    for _ in range(60):
        if sink.recover(within_s=1.0):
            return
        clock.now_s += 1.0
    raise AssertionError("no transaction can begin")


RETRIED = [
    (Request.END_TXN, E.CONCURRENT_TRANSACTIONS),
    (Request.END_TXN, E.NOT_COORDINATOR),
    (Request.END_TXN, E.COORDINATOR_LOAD_IN_PROGRESS),
    (Request.END_TXN, E.COORDINATOR_NOT_AVAILABLE),
    (Request.ADD_PARTITIONS_TO_TXN, E.CONCURRENT_TRANSACTIONS),
    (Request.ADD_PARTITIONS_TO_TXN, E.NOT_COORDINATOR),
    (Request.ADD_OFFSETS_TO_TXN, E.CONCURRENT_TRANSACTIONS),
    (Request.TXN_OFFSET_COMMIT, E.NOT_COORDINATOR),
    (Request.TXN_OFFSET_COMMIT, E.COORDINATOR_LOAD_IN_PROGRESS),
    (Request.PRODUCE, E.NOT_LEADER_FOR_PARTITION),
    (Request.PRODUCE, E.NOT_ENOUGH_REPLICAS),
]
ABORTED = [
    (Request.TXN_OFFSET_COMMIT, E.ILLEGAL_GENERATION),
    (Request.TXN_OFFSET_COMMIT, E.UNKNOWN_MEMBER_ID),
    (Request.TXN_OFFSET_COMMIT, E.REBALANCE_IN_PROGRESS),
    (Request.TXN_OFFSET_COMMIT, STALE_MEMBER_EPOCH),
]
FENCED = [
    (Request.END_TXN, E.PRODUCER_FENCED),
    (Request.END_TXN, E.INVALID_PRODUCER_EPOCH),
    (Request.END_TXN, E.INVALID_TXN_STATE),
    (Request.ADD_PARTITIONS_TO_TXN, E.PRODUCER_FENCED),
    (Request.ADD_OFFSETS_TO_TXN, E.INVALID_PRODUCER_EPOCH),
    (Request.TXN_OFFSET_COMMIT, E.PRODUCER_FENCED),
    (Request.PRODUCE, E.OUT_OF_ORDER_SEQUENCE_NUMBER),
    (Request.PRODUCE, E.INVALID_PRODUCER_EPOCH),
]
HOPELESS = [
    (Request.ADD_PARTITIONS_TO_TXN, E.TOPIC_AUTHORIZATION_FAILED),
    (Request.ADD_PARTITIONS_TO_TXN, E.TRANSACTIONAL_ID_AUTHORIZATION_FAILED),
    (Request.ADD_OFFSETS_TO_TXN, E.GROUP_AUTHORIZATION_FAILED),
    (Request.TXN_OFFSET_COMMIT, E.GROUP_AUTHORIZATION_FAILED),
    (Request.TXN_OFFSET_COMMIT, E.FENCED_INSTANCE_ID),
    (Request.PRODUCE, E.MSG_SIZE_TOO_LARGE),
    (Request.PRODUCE, E.INVALID_TIMESTAMP),
    (Request.PRODUCE, E.POLICY_VIOLATION),
    (Request.PRODUCE, E.TOPIC_AUTHORIZATION_FAILED),
]


def name(value: object) -> str:
    return str(getattr(value, "name", value))


def commit(sink: TransactionalSink, membership: object) -> None:
    sink.send(ONE)
    sink.commit(POSITIONS, membership, within_s=WITHIN_S).result()


@pytest.mark.parametrize(("request_", "code"), RETRIED, ids=name)
def test_what_passes_is_waited_out(
    cluster: MockCluster, sink: TransactionalSink, membership: object, request_: Request, code: int
) -> None:
    cluster.fail_next(request_, code)
    commit(sink, membership)
    assert not sink.is_open


@pytest.mark.parametrize(("request_", "code"), [*ABORTED, *FENCED], ids=name)
def test_what_ends_a_transaction_undoes_it_and_the_worker_goes_on(
    cluster: MockCluster, sink: TransactionalSink, clock: HandClock, membership: object, request_: Request, code: int
) -> None:
    cluster.fail_next(request_, code)
    with pytest.raises(Undone):
        commit(sink, membership)
    go_on(sink, clock, membership)


def go_on(sink: TransactionalSink, clock: HandClock, membership: object) -> None:
    """Roll back and commit; the mock cluster's own numbers may be off once more after a failed record."""
    for attempt in range(3):
        sink.abort(within_s=WITHIN_S)
        assert not sink.is_open
        recover(sink, clock)
        try:
            commit(sink, membership)
        except Undone:
            assert attempt < 2
        else:
            return


@pytest.mark.parametrize(("request_", "code"), HOPELESS, ids=name)
def test_what_the_next_attempt_would_meet_again_ends_the_worker(
    cluster: MockCluster, sink: TransactionalSink, membership: object, request_: Request, code: int
) -> None:
    cluster.fail_next(request_, code)
    with pytest.raises(Stop, match="the transaction cannot be committed"):
        commit(sink, membership)


@pytest.mark.parametrize("code", [E.TOPIC_AUTHORIZATION_FAILED, E.INVALID_TIMESTAMP, E.MSG_SIZE_TOO_LARGE], ids=name)
def test_what_was_refused_in_the_background_is_told_by_the_next_record(
    cluster: MockCluster, sink: TransactionalSink, code: int
) -> None:
    cluster.fail_next(Request.PRODUCE, code)
    sink.send(ONE)
    sink.flush()
    with pytest.raises(Stop, match="the transaction cannot be committed"):
        sink.send(ONE)


def test_a_broker_that_takes_its_time_for_every_answer_sees_a_commit_which_nobody_need_wait_for(
    cluster: MockCluster, sink: TransactionalSink, membership: object
) -> None:
    cluster.set_round_trip(milliseconds=1_000)
    try:
        sink.send(ONE)
        outcome = sink.commit(POSITIONS, membership, within_s=WITHIN_S)
        assert not outcome.done()
        outcome.result()
    finally:
        cluster.set_round_trip(milliseconds=0)
    assert not sink.is_open


def test_a_producer_that_is_made_anew_gets_the_secrets_as_they_are_now(
    cluster: MockCluster, sink: TransactionalSink, membership: object, clock: HandClock
) -> None:
    given: list[object] = []

    class Files:
        def refresh(self, client: object) -> bool:
            return False

        def give(self, client: object) -> None:
            given.append(client)

    sink._credentials = Files()
    cluster.fail_next(Request.END_TXN, E.PRODUCER_FENCED)
    with pytest.raises(Undone):
        commit(sink, membership)
    assert len(given) == 1
    recover(sink, clock)


def test_a_worker_whose_transactions_are_ended_from_outside_again_and_again_gives_up(
    cluster: MockCluster, sink: TransactionalSink, membership: object, clock: HandClock
) -> None:
    for _ in range(FENCES):
        cluster.fail_next(Request.END_TXN, E.PRODUCER_FENCED)
        with pytest.raises(Undone):
            commit(sink, membership)
        recover(sink, clock)
    cluster.fail_next(Request.END_TXN, E.PRODUCER_FENCED)
    with pytest.raises(Stop, match="ended from outside 4 times within 10 minutes"):
        commit(sink, membership)


def test_fences_that_lie_far_apart_are_endured(
    cluster: MockCluster, sink: TransactionalSink, membership: object, clock: HandClock
) -> None:
    for _ in range(FENCES + 2):
        cluster.fail_next(Request.END_TXN, E.PRODUCER_FENCED)
        with pytest.raises(Undone):
            commit(sink, membership)
        clock.now_s += 300.0
        recover(sink, clock)


def test_a_commit_that_no_broker_answers_is_undone_and_a_new_producer_goes_on(
    cluster: MockCluster, sink: TransactionalSink, clock: HandClock, membership: object
) -> None:
    commit(sink, membership)
    sink.send(ONE)
    cluster.set_up(is_up=False)
    try:
        with pytest.raises(Undone):
            sink.commit(POSITIONS, membership, within_s=0.0).result()
        assert not sink.is_open
        clock.now_s += 1.0
        assert not sink.recover(within_s=0.2)
    finally:
        cluster.set_up(is_up=True)
    recover(sink, clock)
    commit(sink, membership)


@pytest.mark.parametrize("ends", ["commit", "abort"])
def test_a_producer_whose_connection_broke_in_a_transaction_begins_no_other(
    cluster: MockCluster, sink: TransactionalSink, membership: object, clock: HandClock, ends: str
) -> None:
    commit(sink, membership)
    first = sink._producer
    sink.send(ONE)
    cluster.set_up(is_up=False)
    cluster.set_up(is_up=True)
    if ends == "commit":
        sink.commit(POSITIONS, membership, within_s=WITHIN_S).result()
    else:
        sink.abort(within_s=WITHIN_S)
    assert sink._producer is not first
    recover(sink, clock)
    second = sink._producer
    commit(sink, membership)
    assert sink._producer is second


def test_a_producer_whose_connections_stay_begins_every_transaction(
    sink: TransactionalSink, membership: object
) -> None:
    first = sink._producer
    for _ in range(3):
        commit(sink, membership)
    sink.send(ONE)
    sink.abort(within_s=WITHIN_S)
    assert sink._producer is first


def test_a_commit_whose_positions_no_coordinator_takes_is_undone_in_time(clock: HandClock) -> None:
    leads, coordinates = 1, 2
    with MockCluster(brokers=2) as cluster:
        cluster.create_topics(["in", "out"])
        cluster.place(leads, group="g", topics=["in", "out"], transactional_id="worker", coordinates=coordinates)
        sink = make(cluster, clock)
        consumer = Consumer({"bootstrap.servers": cluster.bootstrap_servers, "group.id": "g", "log_level": 0})
        membership = consumer.consumer_group_metadata()
        sink.send(ONE)
        cluster.set_up(is_up=False, broker=coordinates)
        with pytest.raises(Undone, match="no coordinator of the group took the positions in time"):
            sink.commit(POSITIONS, membership, within_s=1.0).result()
        cluster.set_up(is_up=True, broker=coordinates)
        recover(sink, clock)
        commit(sink, membership)
        consumer.close()


def test_a_rollback_leaves_nothing_of_what_was_sent(
    cluster: MockCluster, sink: TransactionalSink, membership: object
) -> None:
    sink.send(ONE)
    sink.abort(within_s=WITHIN_S)
    assert not sink.is_open
    commit(sink, membership)


def test_a_producer_that_knows_of_no_broker_is_replaced(
    cluster: MockCluster, membership: object, clock: HandClock
) -> None:
    properties = {**PROPERTIES, "statistics.interval.ms": 50}
    sink = TransactionalSink(properties, clock=clock)
    first = sink._producer
    properties["bootstrap.servers"] = cluster.bootstrap_servers
    recover(sink, clock)
    assert sink._producer is not first
    commit(sink, membership)
    assert not sink.is_open
