"""Settings of a broker that is a cluster of its own."""

import socket
from collections.abc import Mapping
from random import SystemRandom
from typing import Final

_OF_ONE_NODE: Final[Mapping[str, str]] = {
    # One node can hold one copy.
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # Fifty partitions each would only slow the first group and the first transaction down.
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.num.partitions": "1",
    # A group of one need not wait for others; a test of a crash need not wait six seconds.
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    # A misspelt topic is an error.
    "auto.create.topics.enable": "false",
    # Records carry the time of their event, which may be years ago: nothing may expire under a test.
    "log.retention.ms": "-1",
    # The default takes a quarter of the heap.
    "log.cleaner.dedupe.buffer.size": "16777216",
}


def single_node(*, host: str, port: int, controller_port: int, bind: str, data: str) -> Mapping[str, str]:
    """Return the broker properties of one node that is broker and controller at once (KRaft).

    It listens on `bind`, tells clients `host`:`port`, and keeps its data in the folder `data`.
    """
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://{bind}:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{host}:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": data,
        **_OF_ONE_NODE,
    }


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
