"""Laws of the data path under any sequence of polls, swaps, canaries, trips and revokes."""

from collections import defaultdict
from dataclasses import dataclass, field, replace
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from stream_infer.model import LoadedVersion
from stream_infer.model.serving import Serving
from stream_infer.pipeline import inbox as told
from stream_infer.records import Assigned, Partition, Position
from stream_infer.testing.device import LaterDevice
from tests.pipeline.rolled import ByKey, Watching, broken, named
from tests.pipeline.scored import TOPIC, Ground

PARTITIONS = 2
KEYS = [b"key-%d" % number for number in range(7)]


@dataclass(frozen=True, slots=True)
class Poll:
    partition: int
    rows: int


@dataclass(frozen=True, slots=True)
class Turn:
    after_s: float


@dataclass(frozen=True, slots=True)
class Roll:
    """Another desired state; `percent` None has no canary, `trips_at` None never trips."""

    stable: str
    percent: int | None
    breaks: bool
    trips_at: int | None


@dataclass(frozen=True, slots=True)
class Revoke:
    partition: int


Step = Poll | Turn | Roll | Revoke
PARTITION = st.integers(0, PARTITIONS - 1)
STEPS = st.lists(
    st.one_of(
        st.builds(Poll, PARTITION, st.integers(1, 20)),
        st.builds(Turn, st.sampled_from([0.0, 0.001, 0.02, 2.0])),
        st.builds(
            Roll,
            st.sampled_from(["a", "b"]),
            st.sampled_from([None, 0, 30, 70, 100]),
            st.booleans(),
            st.sampled_from([None, None, 0, 2]),
        ),
        st.builds(Revoke, PARTITION),
    ),
    max_size=25,
)
DEVICES = st.sampled_from(["at once", "later"])


@dataclass(slots=True)
class Owned:
    """One partition as the consumer thread sees it: under which epoch, and from which offset it reads on."""

    epoch: int = 1
    start: int = 0
    next: int = 0


@dataclass(slots=True)
class World:
    """A scorer, its consumer thread and its rollout thread."""

    ground: Ground
    version: LoadedVersion
    owned: dict[int, Owned] = field(default_factory=lambda: {number: Owned() for number in range(PARTITIONS)})
    rolls: dict[object, Serving] = field(default_factory=dict)

    def begin(self) -> None:
        self.rolls[0] = self.ground.slot.serving
        for number in self.owned:
            self.assign(number)

    def assign(self, number: int) -> None:
        one = self.owned[number]
        begun = Assigned(Partition(TOPIC, number), one.epoch, one.start, committed=True)
        self.ground.inbox.put(told.Begin([begun]))

    def do(self, step: Step) -> None:
        match step:
            case Poll(partition, rows):
                self.poll(partition, rows)
            case Turn(after_s):
                self.ground.turn(after_s=after_s)
            case Roll():
                self.roll(step)
            case Revoke(partition):
                self.revoke(partition)

    def poll(self, number: int, rows: int) -> None:
        one = self.owned[number]
        keys = [KEYS[(offset * 5 + number) % len(KEYS)] for offset in range(one.next, one.next + rows)]
        self.ground.poll([self.ground.value(1)] * rows, partition=number, offset=one.next, epoch=one.epoch, keys=keys)
        one.next += rows

    def roll(self, roll: Roll) -> None:
        revision = len(self.rolls)
        stable = named(self.version, roll.stable)
        serving = Serving(revision, stable)
        if roll.percent is not None:
            canary = (broken if roll.breaks else named)(self.version, f"canary-{revision}")
            serving = Serving(revision, stable, canary, ByKey(roll.percent), Watching(roll.trips_at))
        self.rolls[revision] = serving
        self.ground.inbox.serve(serving)

    def revoke(self, number: int) -> None:
        one = self.owned[number]
        source = Partition(TOPIC, number)
        answer = self.ground.inbox.settle([source])
        self.ground.turn(after_s=0.0)
        position = answer.result(0).get(source, Position(one.epoch, one.start))
        assert position.epoch == one.epoch
        assert sorted(self.answered(number)) == list(range(position.offset))
        self.owned[number] = Owned(one.epoch + 1, position.offset, position.offset)
        self.assign(number)

    def answered(self, number: int) -> list[int]:
        """Return the offsets of a partition that were answered so far, in the order of their answers."""
        answers = [self.ground.decoded(one) for one in (*self.ground.producer.delivered, *self.ground.producer.sent)]
        return [int(str(one["source_offset"])) for one in answers if one["source_partition"] == number]

    def finish(self) -> dict[Partition, Position]:
        answer = self.ground.inbox.drain()
        self.ground.turn()
        return dict(answer.result(0))


def world_of(version: LoadedVersion, *, device: str) -> World:
    """Return a world on a device that works at once, or on one that works later, so that batches overlap."""
    version = replace(version, device=LaterDevice()) if device == "later" else version
    world = World(Ground(version, max_concurrent_batches=3), version)
    world.begin()
    return world


def played(version: LoadedVersion, steps: list[Step], *, device: str) -> World:
    world = world_of(version, device=device)
    for step in steps:
        world.do(step)
    positions = world.finish()
    for number, one in world.owned.items():
        if one.next > one.start:
            assert positions[Partition(TOPIC, number)] == Position(one.epoch, one.next)
    return world


@given(steps=STEPS, device=DEVICES)
@settings(deadline=None)
def test_every_record_is_answered_once_by_the_variant_that_its_revision_names(
    loaded: LoadedVersion, steps: list[Step], device: str
) -> None:
    world = played(loaded, steps, device=device)
    for number, owned in world.owned.items():
        assert sorted(world.answered(number)) == list(range(owned.next))
    for one in world.ground.producer.delivered:
        answer = world.ground.decoded(one)
        serving = world.rolls[answer["revision"]]
        router, guard = serving.router, serving.guard
        chosen = isinstance(router, ByKey) and router.takes(one.key)
        canary = serving.canary if answer["variant"] == "canary" else None
        assert answer["model_version"] == (canary or serving.stable).version
        stopped = isinstance(guard, Watching) and guard.tripped
        assert chosen if canary else stopped or not chosen


@given(steps=STEPS, device=DEVICES)
@settings(deadline=None)
def test_answers_keep_the_order_of_each_key_and_without_a_canary_of_each_partition(
    loaded: LoadedVersion, steps: list[Step], device: str
) -> None:
    world = played(loaded, steps, device=device)
    by_key: dict[object, list[int]] = defaultdict(list)
    for one in world.ground.producer.delivered:
        answer = world.ground.decoded(one)
        by_key[answer["source_partition"], one.key].append(int(str(answer["source_offset"])))
    assert all(left < right for offsets in by_key.values() for left, right in pairwise(offsets))
    if all(serving.canary is None for serving in world.rolls.values()):
        assert all(world.answered(number) == sorted(world.answered(number)) for number in world.owned)


@given(steps=STEPS, device=DEVICES)
@settings(deadline=None)
def test_nothing_is_committed_above_a_record_that_is_not_delivered(
    loaded: LoadedVersion, steps: list[Step], device: str
) -> None:
    world = played(loaded, steps, device=device)
    answers = [world.ground.decoded(one) for one in world.ground.producer.delivered]
    for positions, delivered in world.ground.committed.commits:
        found = {(one["source_partition"], one["source_offset"]) for one in answers[:delivered]}
        for source, position in positions.items():
            assert all((source.partition, offset) in found for offset in range(position.offset))


@given(steps=STEPS, device=DEVICES)
@settings(deadline=None)
def test_all_credit_comes_back_whatever_is_served(loaded: LoadedVersion, steps: list[Step], device: str) -> None:
    world = world_of(loaded, device=device)
    polled = 0
    for step in steps:
        polled += step.rows if isinstance(step, Poll) else 0
        world.do(step)
    world.finish()
    assert world.ground.intake.given[0] == polled
