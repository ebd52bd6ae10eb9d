"""Too many refusals: answers are held back, the worker stops, and what it held is scored by what serves next."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stream_infer.model import DeviceLost, LoadedVersion
from stream_infer.model.faults import RowCap
from stream_infer.model.serving import Serving
from stream_infer.pipeline import inbox as told
from stream_infer.pipeline.limit import Allowed
from stream_infer.records import Partition, Position
from stream_infer.testing.device import LaterDevice
from tests.pipeline.rolled import Watching, broken, named, with_canary
from tests.pipeline.scored import ALLOWED, KNOWN, QUEUE_LIMIT, TOPIC, Ground

P0, P1 = Partition(TOPIC, 0), Partition(TOPIC, 1)


@pytest.fixture
def ground(model: Path) -> Ground:
    made = Ground(model)
    made.assign(0, 1)
    return made


def drain(ground: Ground) -> dict[Partition, Position]:
    answer = ground.inbox.drain()
    ground.turn()
    return dict(answer.result(0))


def bad(ground: Ground, count: int) -> list[bytes]:
    return [ground.value(KNOWN + 5)] * count


def test_nothing_of_a_window_with_too_many_refusals_is_sent_or_committed(ground: Ground) -> None:
    ground.poll([*bad(ground, 5), ground.value(1)])
    assert drain(ground) == {}
    assert ground.producer.sent == []
    assert ground.intake.given == [0, 0]
    assert ground.scorer.held_records == 6
    assert ground.scorer.stopped is None


def test_good_records_that_follow_let_everything_go_in_order(ground: Ground) -> None:
    ground.poll([*bad(ground, 5), ground.value(1)])
    ground.turn()
    ground.poll([ground.value(1)] * 8, offset=6)
    assert drain(ground) == {P0: Position(1, 14)}
    assert [one["source_offset"] for one in ground.predictions()] == list(range(5, 14))
    assert len(ground.dead_letters()) == 5
    assert ground.intake.given[0] == 14


def test_one_undecodable_record_on_a_quiet_topic_is_dead_lettered_after_the_window(ground: Ground) -> None:
    ground.poll([b"nonsense"])
    ground.turn(58, after_s=1.0)
    assert ground.dead_letters() == ground.producer.sent == []
    ground.turn(5, after_s=1.0)
    assert drain(ground) == {P0: Position(1, 1)}
    assert len(ground.dead_letters()) == 1


def test_a_record_that_the_model_fails_on_is_held_until_it_has_scored_another(ground: Ground) -> None:
    ground.poll(bad(ground, 1))
    ground.turn(300, after_s=1.0)
    assert ground.producer.sent == []
    ground.poll([ground.value(1)], offset=1)
    assert drain(ground) == {P0: Position(1, 2)}
    assert len(ground.dead_letters()) == len(ground.predictions()) == 1


def test_from_min_records_on_nothing_is_scored_and_nothing_comes_in(ground: Ground) -> None:
    for start in range(0, ALLOWED.min_records, 8):
        ground.poll(bad(ground, 8), offset=start)
    ground.turn(10)
    assert "40 of 40 records within 60 s were refused" in str(ground.scorer.stopped)
    assert not ground.intake.is_open
    assert ground.intake.given == [0, 0]
    assert drain(ground) == {}
    assert ground.producer.sent == []


def test_another_revision_scores_what_was_held_and_lets_records_in_again(ground: Ground, loaded: LoadedVersion) -> None:
    ground.inbox.serve(Serving(1, broken(loaded, "1")))
    ground.poll([ground.value(1)] * 20)
    ground.turn(3)
    assert ground.scorer.stopped is not None
    answer = ground.inbox.serve(Serving(2, named(loaded, "2")))
    ground.turn()
    assert answer.done()
    assert ground.scorer.stopped is None
    assert ground.intake.is_open
    assert drain(ground) == {P0: Position(1, 20)}
    assert [(one["source_offset"], one["model_version"]) for one in ground.predictions()] == [
        (offset, "2") for offset in range(20)
    ]
    assert ground.dead_letters() == []


def test_a_model_that_fails_on_zeros_too_stops_at_its_first_batch(ground: Ground, loaded: LoadedVersion) -> None:
    ground.inbox.serve(Serving(1, broken(loaded, "1")))
    ground.poll([ground.value(1)])
    ground.turn(3)
    assert "no record of a batch of 1 could be scored, nor zeros" in str(ground.scorer.stopped)
    assert not ground.intake.is_open
    assert ground.producer.sent == []


def test_a_stopped_worker_gives_partitions_up_with_nothing_committed(ground: Ground, loaded: LoadedVersion) -> None:
    ground.poll([ground.value(1)] * 8)
    ground.turn()
    ground.inbox.serve(Serving(1, broken(loaded, "1")))
    ground.poll([ground.value(1)] * 8, offset=8)
    ground.poll([ground.value(1)] * 8, partition=1)
    ground.turn(3)
    answer = ground.inbox.settle([P0])
    ground.turn(2)
    assert dict(answer.result(0)) == {P0: Position(1, 8)}
    ground.inbox.serve(Serving(2, named(loaded, "2")))
    ground.turn(3)
    assert drain(ground) == {P1: Position(1, 8)}
    assert [one["source_offset"] for one in ground.predictions()] == [*range(8), *range(8)]


def test_what_is_held_of_a_partition_that_is_given_up_is_not_answered(ground: Ground) -> None:
    ground.poll(bad(ground, 3))
    ground.poll(bad(ground, 3), partition=1)
    ground.turn(2)
    answer = ground.inbox.settle([P0])
    ground.turn()
    assert dict(answer.result(0)) == {}
    ground.poll([ground.value(1)] * 8, partition=1, offset=3)
    assert drain(ground) == {P1: Position(1, 11)}
    assert {dict(one.headers)["__streams.errors.partition"] for one in ground.dead_letters()} == {b"1"}
    assert len(ground.dead_letters()) == 3
    assert ground.intake.given[0] == 14


def test_what_is_held_of_a_lost_partition_is_not_answered(ground: Ground) -> None:
    ground.poll(bad(ground, 3))
    ground.turn(2)
    ground.inbox.put(told.Forget([P0]))
    ground.poll([ground.value(1)] * 8, partition=1)
    assert drain(ground) == {P1: Position(1, 8)}
    assert ground.dead_letters() == []


def test_a_limit_that_the_queue_cannot_reach_stops_at_half_of_the_queue(model: Path) -> None:
    ground = Ground(model, refusals=replace(ALLOWED, min_records=10_000))
    ground.assign(0)
    for start in range(0, QUEUE_LIMIT, 8):
        ground.poll(bad(ground, 8), offset=start)
    ground.turn(20)
    assert f"{QUEUE_LIMIT // 2 + 4} of {QUEUE_LIMIT // 2 + 4} records" in str(ground.scorer.stopped)


def test_a_ratio_of_one_refuses_whatever_fails(model: Path) -> None:
    ground = Ground(model, refusals=Allowed(1.0, 1, 60.0))
    ground.assign(0)
    ground.poll(bad(ground, 20))
    assert drain(ground) == {P0: Position(1, 20)}
    assert len(ground.dead_letters()) == 20


def test_a_canary_that_is_stopped_does_not_release_what_stable_was_stopped_for(
    ground: Ground, loaded: LoadedVersion
) -> None:
    ground.inbox.serve(with_canary(1, broken(loaded, "1"), broken(loaded, "2"), percent=50, guard=Watching()))
    ground.poll([ground.value(1)] * 16)
    ground.turn(8)
    assert ground.scorer.stopped is not None
    assert ground.producer.sent == []


def test_under_exactly_once_a_held_window_is_in_no_transaction(model: Path) -> None:
    ground = Ground(model, exactly_once=True)
    ground.assign(0)
    ground.poll(bad(ground, 8))
    ground.turn(3)
    ground.inbox.put(told.Member(object()))
    ground.turn(300)
    assert not ground.transactions.is_open
    assert ground.producer.delivered == []


def out_of_memory_above(version: LoadedVersion, rows: int, *, seen: list[int]) -> LoadedVersion:
    def call(*tensors: torch.Tensor) -> torch.Tensor:
        seen.append(len(tensors[0]))
        if len(tensors[0]) > rows:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return version.call(*tensors)

    return replace(version, call=call, cap=RowCap())


def test_a_batch_that_memory_does_not_hold_is_halved_and_the_cap_is_remembered(
    ground: Ground, loaded: LoadedVersion
) -> None:
    seen: list[int] = []
    ground.inbox.serve(Serving(1, out_of_memory_above(named(loaded, "2"), 3, seen=seen)))
    ground.poll([ground.value(1)] * 8)
    ground.turn(2)
    assert max(seen) == 8
    seen.clear()
    ground.poll([ground.value(1)] * 24, offset=8)
    assert drain(ground) == {P0: Position(1, 32)}
    assert max(seen) == 2
    assert [one["source_offset"] for one in ground.predictions()] == list(range(32))
    assert ground.dead_letters() == []


def test_a_device_that_is_past_helping_ends_the_worker_and_commits_nothing(loaded: LoadedVersion) -> None:
    device = LaterDevice()
    ground = Ground(replace(broken(loaded, "1"), device=device))
    ground.assign(0)
    device.is_lost = True
    ground.poll([ground.value(1)] * 8)
    with pytest.raises(DeviceLost, match="fails whatever it is asked since"):
        ground.turn(3)
    assert ground.producer.sent == []
    assert ground.committed.commits == []
