"""The faults: each does its harm and takes it back, and says what it did."""

import json
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from confluent_kafka import ElectionType, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from tests.end_to_end.job import MODEL
from tests.faults.field import SESSION_S, TRANSACTION_S, WORKERS, Field, NotDoneError
from tests.faults.worker import TOLD

AWAY_S = 3.0
FROZEN_S = 8.0
STORM_STEP_S = 3.0
STORM_WORKERS = 5
POISON = 300
CUT_S = SESSION_S + 4.0
RESETS = 10
BETWEEN_RESETS_S = 0.5
SLOW_S = 0.1
SLOW_FOR_S = 10.0
LATE_S = 1.0
ADMIN_S = 30.0


def kill_worker(field: Field) -> str:
    """SIGKILL at whatever moment; started again at once under the same id."""
    slot = field.any_slot()
    slot.process.kill()
    field.restart(slot)
    return slot.name


def kill_at_point(field: Field) -> str:
    """SIGKILL at a step of the path, by the worker's own hand; started again under the same id."""
    slot = field.any_slot()
    point = slot.point
    slot.process.process.send_signal(TOLD)
    field.until(lambda: not slot.process.is_running() or bool(slot.exits), what="the worker ends", within_s=60.0)
    code = slot.exits.pop() if slot.exits else slot.process.wait()
    if not slot.process.is_running():
        field.restart(slot)
    if code != -signal.SIGKILL:
        raise NotDoneError(f"{slot.name} was told to end {point} and ended with {code}")
    return f"{slot.name} {point}"


def replace_worker(field: Field) -> str:
    """SIGKILL, and another worker under another id: nobody fences what the dead one left open."""
    slot = field.any_slot()
    field.drop(slot)
    field.add()
    return slot.name


def drain_worker(field: Field) -> str:
    """SIGTERM, and another worker."""
    slot = field.any_slot()
    field.add()
    field.leave(slot)
    return slot.name


def freeze_past_transaction(field: Field) -> str:
    """SIGSTOP until the broker has ended the transaction, but not the membership."""
    return _freeze(field, (TRANSACTION_S + SESSION_S) / 2)


def freeze_past_session(field: Field) -> str:
    """SIGSTOP until the group has given the partitions away; then it goes on where it was."""
    return _freeze(field, SESSION_S + 4.0)


def _freeze(field: Field, seconds: float) -> str:
    slot = field.any_slot()
    slot.process.process.send_signal(signal.SIGSTOP)
    field.pause(seconds)
    slot.process.process.send_signal(signal.SIGCONT)
    return f"{slot.name} for {seconds:g} s"


def storm(field: Field) -> str:
    """Workers join every few seconds up to five, and leave down to one."""
    while len(field.slots) < STORM_WORKERS:
        field.add()
        field.pause(STORM_STEP_S)
        field.tend()
    while len(field.slots) > 1:
        field.leave(field.any_slot())
        field.pause(STORM_STEP_S)
        field.tend()
    field.add(count=WORKERS - 1)
    return f"to {STORM_WORKERS} workers and to 1"


def take_id(field: Field) -> str:
    """Another producer begins under a worker's transactional id."""
    slot = field.any_slot()
    name = f"{field.job.application_id}-{slot.name}"
    thief = Producer({"bootstrap.servers": field.job.bootstrap_servers, "transactional.id": name, "log_level": 0})
    thief.init_transactions(ADMIN_S)
    return name


def cut_off(field: Field) -> str:
    """Nothing passes between a worker and the brokers until the group has given its partitions away; then all of it."""
    network, slot = field.brokers.network, field.any_slot()
    network.cut(slot.name)
    field.pause(CUT_S)
    network.heal(slot.name)
    return f"{slot.name} for {CUT_S:g} s"


def reset_connections(field: Field) -> str:
    """A worker's connections are broken off again and again."""
    slot = field.any_slot()
    for _ in range(RESETS):
        field.brokers.network.reset(slot.name)
        field.pause(BETWEEN_RESETS_S)
    return f"{slot.name} {RESETS} times"


def slow_network(field: Field) -> str:
    """Whatever passes between a worker and the brokers arrives later."""
    network, slot = field.brokers.network, field.any_slot()
    network.slow_down(slot.name, SLOW_S)
    field.pause(SLOW_FOR_S)
    network.heal(slot.name)
    return f"{slot.name} by {SLOW_S:g} s each way for {SLOW_FOR_S:g} s"


def late_commit(field: Field) -> str:
    """A commit's connection breaks off, and the broker hears of the commit when the next transactions are under way."""
    slot = field.any_slot()
    answer = field.brokers.network.hold_next_commit(slot.name, LATE_S)
    field.until(answer.done, what="a commit has arrived late")
    code = answer.result()
    return f"{slot.name}, {LATE_S:g} s late: {KafkaError(code).name() if code else 'taken'}"


def kill_broker(field: Field) -> str:
    """SIGKILL of a broker, which comes back after some seconds."""
    number = field.rng.randrange(len(field.brokers.nodes))
    field.brokers.nodes[number].kill()
    field.pause(AWAY_S)
    field.brokers.start()
    return f"broker {number + 1}"


def stop_broker(field: Field) -> str:
    """SIGTERM of a broker, which hands its partitions over, and comes back."""
    number = field.rng.randrange(len(field.brokers.nodes))
    field.brokers.nodes[number].stop()
    field.pause(AWAY_S)
    field.brokers.start()
    return f"broker {number + 1}"


def freeze_broker(field: Field) -> str:
    """SIGSTOP of a broker: its connections stay open and nothing answers."""
    number = field.rng.randrange(len(field.brokers.nodes))
    field.brokers.nodes[number].send_signal(signal.SIGSTOP)
    field.pause(FROZEN_S)
    field.brokers.start()
    return f"broker {number + 1} for {FROZEN_S:g} s"


def all_brokers_down(field: Field, seconds: float = 60.0) -> str:
    """SIGKILL of every broker."""
    for node in field.brokers.nodes:
        node.kill()
    field.pause(seconds)
    field.brokers.start()
    return f"{seconds:g} s"


def move_leaders(field: Field) -> str:
    """Give partitions back to their preferred leader, also those of positions and transactions, after a restart."""
    number = field.rng.randrange(len(field.brokers.nodes))
    field.brokers.nodes[number].stop()
    field.brokers.start()
    moved = _elect(field)
    if not moved:
        raise NotDoneError("every partition has its preferred leader")
    return f"{moved} partitions"


def _elect(field: Field) -> int:
    admin = AdminClient({"bootstrap.servers": field.job.bootstrap_servers, "log_level": 0})
    topics = admin.list_topics(timeout=ADMIN_S).topics
    lanes = [TopicPartition(name, number) for name, found in topics.items() for number in found.partitions]
    try:
        answers = admin.elect_leaders(ElectionType.PREFERRED, lanes).result(ADMIN_S)
    except KafkaException as error:
        raise NotDoneError(f"no leaders were elected: {error.args[0].str()}") from error
    return sum(error is None for error in answers.values())


def poison(field: Field) -> str:
    """Undecodable values, nulls, wrong lengths and NaN among the events."""
    field.flow.poison(POISON)
    field.pause(POISON / 200)
    return f"{POISON} records"


def swap(field: Field) -> str:
    """Another version by the control topic."""
    field.revision += 1
    version = "2" if field.revision % 2 else "1"
    record = {"model": MODEL, "revision": field.revision, "stable": {"version": version}}
    teller = Producer({"bootstrap.servers": field.job.bootstrap_servers, "enable.idempotence": True})
    teller.produce(field.job.control, json.dumps(record), MODEL)
    teller.flush(ADMIN_S)
    return f"to version {version}"


def kill_worker_in_swap(field: Field) -> str:
    """A worker dies, and another version is named before it is back: the others swap while they take over."""
    slot = field.any_slot()
    slot.process.kill()
    said = swap(field)
    field.restart(slot)
    return f"{said}, {slot.name}"


def kill_broker_in_swap(field: Field) -> str:
    """Another version among poison, while a broker is away."""
    field.flow.poison(POISON)
    return f"{swap(field)}, {kill_broker(field)}"


@dataclass(frozen=True, slots=True)
class Kind:
    """A fault as the table names it; `weight` is how often a soak does it, `keeps_quorum` whether records must flow."""

    name: str
    inject: Callable[[Field], str]
    weight: int
    kills: bool = False
    keeps_quorum: bool = True
    exactly_once_only: bool = False


KINDS: Sequence[Kind] = (
    Kind("worker: SIGKILL", kill_worker, 8, kills=True),
    Kind("worker: SIGKILL at a step of the path", kill_at_point, 8, kills=True),
    Kind("worker: SIGKILL, another takes its place", replace_worker, 5, kills=True),
    Kind("worker: SIGTERM, another takes its place", drain_worker, 4),
    Kind("worker: SIGSTOP past the transaction time-out", freeze_past_transaction, 2),
    Kind("worker: SIGSTOP past the session time-out", freeze_past_session, 2),
    Kind("workers join and leave, 2 to 5 to 1", storm, 1),
    Kind("another producer takes the transactional id", take_id, 1, exactly_once_only=True),
    Kind("network: a worker is cut off past the session time-out", cut_off, 2),
    Kind("network: a worker's connections are reset", reset_connections, 2),
    Kind("network: a worker's packets are late", slow_network, 1),
    Kind("network: a commit arrives after its connection broke", late_commit, 2, exactly_once_only=True),
    Kind("broker: SIGKILL", kill_broker, 3),
    Kind("broker: SIGTERM", stop_broker, 2),
    Kind("broker: SIGSTOP", freeze_broker, 1),
    Kind("all brokers down", all_brokers_down, 0, keeps_quorum=False),
    Kind("leaders move", move_leaders, 3),
    Kind("poison among the records", poison, 3),
    Kind("version swap", swap, 5),
    Kind("version swap, and a worker: SIGKILL", kill_worker_in_swap, 4, kills=True),
    Kind("version swap among poison, and a broker: SIGKILL", kill_broker_in_swap, 1),
)
