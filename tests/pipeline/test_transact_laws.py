"""Exactly once under any order of polls, rebalances, canaries and transactions that fail in any way."""

from dataclasses import dataclass, field, replace

from hypothesis import example, given, settings
from hypothesis import strategies as st

from stream_infer.model import LoadedVersion
from stream_infer.model.serving import Serving
from stream_infer.pipeline import inbox as told
from stream_infer.pipeline.limit import Allowed
from stream_infer.records import Assigned, Partition
from stream_infer.testing.device import LaterDevice
from stream_infer.testing.producer import Fate
from tests.pipeline.rolled import ByKey, named
from tests.pipeline.scored import TOPIC, Ground

PARTITIONS = 2
BAD = b"no event"
ALL = Allowed(max_ratio=1.0, min_records=1, window_s=60.0)
SETTLED = 40
"""Turns after which everything that was polled is committed."""


@dataclass(frozen=True, slots=True)
class Poll:
    """Of each `bad` rows the last is no event, where that is given."""

    partition: int
    rows: int
    bad: int | None = None

    def is_bad(self, row: int) -> bool:
        return self.bad is not None and row % self.bad == self.bad - 1


@dataclass(frozen=True, slots=True)
class Turn:
    """`rewinds`: the consumer thread answers what is asked for in this turn, a rewind too."""

    after_s: float
    rewinds: bool = True


@dataclass(frozen=True, slots=True)
class Serve:
    percent: int | None


@dataclass(frozen=True, slots=True)
class Revoke:
    """A partition goes away and comes back: settled first, or lost."""

    partition: int
    is_lost: bool
    is_member: bool


@dataclass(frozen=True, slots=True)
class Fail:
    fate: Fate


@dataclass(frozen=True, slots=True)
class Break:
    """The transaction breaks off while something is sent."""


@dataclass(frozen=True, slots=True)
class Lose:
    """The producer turns out to be lost when it is looked after, or when something is committed."""


@dataclass(frozen=True, slots=True)
class Work:
    """The device does everything that it was given."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The brokers answer a commit that is under way, which nobody waited for so far."""


@dataclass(frozen=True, slots=True)
class Away:
    """The registry does not answer for the next batch."""


Step = Poll | Turn | Serve | Revoke | Fail | Break | Lose | Work | Answer | Away
PARTITION = st.integers(0, PARTITIONS - 1)
STEPS = st.lists(
    st.one_of(
        st.builds(Poll, PARTITION, st.integers(1, 20)),
        st.builds(Poll, PARTITION, st.integers(1, 20), st.integers(1, 4)),
        st.builds(Turn, st.sampled_from([0.0, 0.001, 0.02, 2.0])),
        st.builds(Turn, st.sampled_from([0.02, 2.0])),
        st.builds(Turn, st.sampled_from([0.02, 2.0]), rewinds=st.booleans()),
        st.builds(Serve, st.sampled_from([None, 30, 100])),
        st.builds(Revoke, PARTITION, is_lost=st.booleans(), is_member=st.booleans()),
        st.builds(Fail, st.sampled_from(list(Fate))),
        st.builds(Break),
        st.builds(Lose),
        st.builds(Work),
        st.builds(Answer),
        st.builds(Away),
    ),
    max_size=40,
)


@dataclass
class World:
    """A worker with its consumer thread played: it polls on from where each partition stands."""

    loaded: LoadedVersion
    is_late: bool = False
    device: LaterDevice = field(default_factory=LaterDevice)
    polled: int = 0
    ground: Ground = field(init=False)
    positions: dict[int, int] = field(default_factory=dict)
    epochs: dict[int, int] = field(default_factory=dict)
    last_epoch: int = 0
    rewinds: int = 0
    revision: int = 0

    def __post_init__(self) -> None:
        self.loaded = replace(self.loaded, device=self.device)
        self.ground = Ground(named(self.loaded, "a"), exactly_once=True, refusals=ALL)
        self.ground.transactions.is_late = self.is_late
        self.ground.inbox.put(told.Begin([self.assign(number) for number in range(PARTITIONS)]))

    def assign(self, partition: int) -> Assigned:
        self.last_epoch += 1
        source = Partition(TOPIC, partition)
        start = self.ground.transactions.committed.get(source, 0)
        self.positions[partition], self.epochs[partition] = start, self.last_epoch
        return Assigned(source, self.last_epoch, start, committed=True)

    def act(self, step: Step) -> None:
        match step:
            case Poll(partition, rows):
                good = self.ground.value(1.0, name=f"{partition}")
                values = [BAD if step.is_bad(row) else good for row in range(rows)]
                offset, epoch = self.positions[partition], self.epochs[partition]
                self.ground.poll(values, partition=partition, offset=offset, epoch=epoch)
                self.positions[partition] += rows
                self.polled += rows
            case Turn(after_s, rewinds):
                self.turn(after_s, rewinds=rewinds)
            case Serve(percent):
                self.revision += 1
                canary = named(self.loaded, "b") if percent is not None else None
                router = ByKey(percent) if percent is not None else None
                stable = self.ground.slot.serving.stable
                self.ground.inbox.serve(Serving(self.revision, stable, canary=canary, router=router))
            case Revoke():
                self.revoke(step)
            case Work():
                self.device.settle()
            case _:
                self.befall(step)

    def befall(self, step: Fail | Break | Lose | Answer | Away) -> None:
        match step:
            case Fail(fate):
                self.ground.transactions.fates.append(fate)
            case Break():
                self.ground.transactions.breaks += 1
            case Lose():
                self.ground.transactions.losses += 1
            case Answer():
                self.ground.transactions.answer()
            case Away():
                self.ground.decoder.refusals += 1

    def revoke(self, step: Revoke) -> None:
        source = Partition(TOPIC, step.partition)
        if step.is_lost:
            self.ground.inbox.put(told.Forget([source]))
        else:
            answer = self.ground.inbox.settle([source], object() if step.is_member else None)
            self.turn(0.0)
            if not answer.done():  # the producer was lost before anything was heard
                self.turn(0.0)
            assert answer.result(0) == {}
        # Whoever owns it now reads what is committed, which an open transaction does not change any more.
        self.turn(0.0)
        self.ground.inbox.put(told.Begin([self.assign(step.partition)]))

    def turn(self, after_s: float, *, rewinds: bool = True) -> None:
        """Let the scorer turn, and the consumer thread answer what it asks for; a rewind may take it longer."""
        self.ground.turn(after_s=after_s)
        self.ground.inbox.put(told.Member(object()))
        if rewinds and self.ground.committed.rewinds > self.rewinds:
            self.rewinds += 1
            self.ground.inbox.put(told.Rewound([self.assign(number) for number in range(PARTITIONS)]))

    def seen(self, partition: int) -> list[int]:
        """Return the offsets that were answered, those of dead letters last."""
        return self.predicted(partition) + self.refused(partition)

    def refused(self, partition: int) -> list[int]:
        named = [dict(one.headers) for one in self.ground.dead_letters()]
        found = [(one["__streams.errors.partition"], one["__streams.errors.offset"]) for one in named]
        return [int(offset or b"") for number, offset in found if number == b"%d" % partition]

    def predicted(self, partition: int) -> list[int]:
        predictions = self.ground.predictions()
        return [int(str(one["source_offset"])) for one in predictions if one["source_partition"] == partition]


LATE = Turn(2.0, rewinds=False)
SCORE = [Poll(0, 2), Turn(0.02, rewinds=False), Work(), Turn(0.02)]
LOST_TWICE = [*SCORE, Lose(), LATE, LATE, Lose(), LATE, LATE, Turn(0.02), *SCORE, Turn(0.02), *SCORE, Turn(2.0)]
"""The producer is lost again before the rewind for its first loss is answered, which comes before something is sent."""
AHEAD = [*SCORE, Turn(2.0), Poll(0, 20), Poll(1, 20), Turn(0.0), Turn(0.0)]
"""A commit is under way, a batch that is scored waits for it, others are called and full ones wait."""


@given(steps=STEPS, is_late=st.booleans())
@example(steps=LOST_TWICE, is_late=False)
@example(steps=[*AHEAD, Serve(None), LATE], is_late=True)
@example(steps=[*AHEAD, Serve(30), LATE], is_late=True)
@example(steps=[*AHEAD, Revoke(0, is_lost=True, is_member=False)], is_late=True)
@example(steps=[*AHEAD, Revoke(0, is_lost=False, is_member=True)], is_late=True)
@example(steps=[*AHEAD, Revoke(1, is_lost=True, is_member=False)], is_late=True)
@example(steps=[*AHEAD, Away(), LATE, Work(), LATE, LATE, LATE], is_late=True)
@example(
    steps=[*AHEAD, Poll(0, 9, bad=2), Turn(0.0), Poll(1, 3, bad=1), LATE, Fail(Fate.UNKNOWN_ROLLED_BACK), LATE],
    is_late=True,
)
@example(steps=[*AHEAD, Fail(Fate.UNKNOWN_DONE), Answer(), LATE], is_late=True)
@settings(deadline=None)
def test_what_is_seen_is_what_is_committed_once_each_and_in_order(
    loaded: LoadedVersion, steps: list[Step], *, is_late: bool
) -> None:
    world = World(loaded, is_late=is_late)
    for step in steps:
        world.act(step)
        for partition in range(PARTITIONS):
            committed = world.ground.transactions.committed.get(Partition(TOPIC, partition), 0)
            assert sorted(world.seen(partition)) == list(range(committed))
    world.ground.decoder.refusals = 0
    world.ground.transactions.fates.clear()
    world.ground.transactions.breaks = world.ground.transactions.losses = 0
    for _ in range(SETTLED):
        world.turn(0.5)
        world.ground.transactions.answer()
    for partition in range(PARTITIONS):
        committed = world.ground.transactions.committed.get(Partition(TOPIC, partition), 0)
        assert committed == world.positions[partition]
        assert sorted(world.seen(partition)) == list(range(committed))
    assert world.ground.intake.given[0] == world.polled
    if not any(isinstance(step, Serve) for step in steps):
        for one in (world.predicted, world.refused):
            assert all(one(partition) == sorted(one(partition)) for partition in range(PARTITIONS))
