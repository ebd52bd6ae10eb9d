"""Settings of brokers for tests: one that is a cluster of its own, or one of several."""

import socket
from collections.abc import Mapping
from random import SystemRandom
from typing import Final

_OF_TESTS: Final[Mapping[str, str]] = {
    # Fifty partitions each would only slow the first group and the first transaction down.
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.num.partitions": "1",
    # A group of one need not wait for others; a test of a crash need not wait six seconds.
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    # What a dead worker left open holds nobody up for long beyond its own time-out.
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    # A misspelt topic is an error.
    "auto.create.topics.enable": "false",
    # Records carry the time of their event, which may be years ago: nothing may expire under a test.
    "log.retention.ms": "-1",
    # The default takes a quarter of the heap.
    "log.cleaner.dedupe.buffer.size": "16777216",
}


def single_node(*, host: str, port: int, controller_port: int, bind: str) -> Mapping[str, str]:
    """Return the properties of one node that is broker and controller at once (KRaft).

    It listens on `bind` and tells clients `host`:`port`. `log.dirs` is left to whoever runs it.
    """
    voters = {1: controller_port}
    return _node(1, voters, host=host, port=port, bind=bind) | _copies(1, in_sync=1)


def node_of_several(
    node: int, controller_ports: Mapping[int, int], *, port: int, detour: tuple[int, int]
) -> Mapping[str, str]:
    """Return the properties of one of several nodes on this machine, by their ids and controllers' ports.

    Everything has three copies, two of which must be there for a write. `detour` is a second port that the node listens
    on, and the port that it tells clients which come there.
    """
    made = _node(node, controller_ports, host="127.0.0.1", port=port, bind="127.0.0.1")
    behind, before = detour
    more = {
        "listeners": f",DETOUR://127.0.0.1:{behind}",
        "advertised.listeners": f",DETOUR://127.0.0.1:{before}",
        "listener.security.protocol.map": ",DETOUR:PLAINTEXT",
    }
    made |= {name: made[name] + value for name, value in more.items()}
    soon = {"broker.session.timeout.ms": "3000", "broker.heartbeat.interval.ms": "500"}
    return made | {"inter.broker.listener.name": "PLAINTEXT"} | _copies(3, in_sync=2) | soon


def _node(node: int, voters: Mapping[int, int], *, host: str, port: int, bind: str) -> dict[str, str]:
    return {
        "process.roles": "broker,controller",
        "node.id": str(node),
        "controller.quorum.voters": ",".join(f"{one}@127.0.0.1:{at}" for one, at in voters.items()),
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://{bind}:{port},CONTROLLER://127.0.0.1:{voters[node]}",
        "advertised.listeners": f"PLAINTEXT://{host}:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        **_OF_TESTS,
    }


def _copies(count: int, *, in_sync: int) -> dict[str, str]:
    topics = ("offsets.topic", "transaction.state.log", "share.coordinator.state.topic")
    copies = {f"{topic}.replication.factor": str(count) for topic in topics}
    # The offsets topic has no setting of its own for this.
    least = {f"{topic}.min.isr": str(in_sync) for topic in topics[1:]}
    return copies | least | {"default.replication.factor": str(count), "min.insync.replicas": str(in_sync)}


def free_port(*, host: str = "127.0.0.1") -> int:
    """Return a TCP port that nothing listens on, below the range that the system gives to outgoing connections.

    Inside that range a client that tries to reach a stopped broker can be given the broker's own port, and then talks
    to itself and keeps the port from the broker.
    """
    random = SystemRandom()
    while True:
        port = random.randrange(15_000, 32_000)
        with socket.socket() as probe:
            if probe.connect_ex((host, port)) != 0:
                return port
