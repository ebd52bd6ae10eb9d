"""The path of a batch, with a real codec and model, and everything around it made up."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stream_infer.errors import Stop
from stream_infer.model import LoadedVersion
from stream_infer.model.serving import Serving
from stream_infer.pipeline import inbox as told
from stream_infer.records import Partition, Position
from tests.pipeline.scored import KNOWN, TOPIC, Ground

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


def test_every_record_is_answered_once_in_order_with_its_key_its_stamp_and_its_place(ground: Ground) -> None:
    ground.poll([ground.value(row % 3, name=f"e{row}") for row in range(20)], offset=5)
    positions = drain(ground)
    answers = ground.predictions()
    assert [one["source_offset"] for one in answers] == list(range(5, 25))
    assert [one["event_id"] for one in answers] == [f"e{row}" for row in range(20)]
    assert [one.key for one in ground.producer.delivered] == [b"key-%d" % offset for offset in range(5, 25)]
    assert [one.timestamp_ms for one in ground.producer.delivered] == [1_000 + offset for offset in range(5, 25)]
    assert [one["scores"] for one in answers] == [[2.0 * (row % 3), 2.0 * (row % 3) + 1] for row in range(20)]
    assert {(one["source_topic"], one["source_partition"], one["label"]) for one in answers} == {(TOPIC, 0, "yes")}
    assert positions == {P0: Position(1, 25)}


def test_a_record_that_cannot_be_scored_is_dead_lettered_verbatim_and_its_mates_are_answered(ground: Ground) -> None:
    values = [ground.value(1), b"\xc3\x01 nonsense", ground.value(2), b"", ground.value(0)]
    ground.poll(values, offset=40)
    drain(ground)
    assert [one["source_offset"] for one in ground.predictions()] == [40, 42, 44]
    refused = ground.dead_letters()
    assert [one.value for one in refused] == [values[1], values[3]]
    headers = [dict(one.headers) for one in refused]
    assert [one["__streams.errors.offset"] for one in headers] == [b"41", b"43"]
    assert {one["__streams.errors.topic"] for one in headers} == {TOPIC.encode()}
    assert {one["stream_infer.stage"] for one in headers} == {b"decode"}
    assert {one["stream_infer.model_version"] for one in headers} == {b"1"}
    assert all(one["__streams.errors.message"] for one in headers)


def test_a_record_without_a_value_is_passed_over_and_its_position_moves(ground: Ground) -> None:
    ground.poll([ground.value(1), None, None])
    assert drain(ground) == {P0: Position(1, 3)}
    assert len(ground.producer.delivered) == 1


def test_a_record_that_the_model_fails_on_costs_nobody_else_their_answer(ground: Ground) -> None:
    ground.poll([ground.value(KNOWN + 5 if row == 6 else 1) for row in range(8)])
    drain(ground)
    assert [one["source_offset"] for one in ground.predictions()] == [0, 1, 2, 3, 4, 5, 7]
    (refused,) = ground.dead_letters()
    assert dict(refused.headers)["__streams.errors.exception"] == b"model_error"


def test_non_finite_scores_go_where_the_policy_says(model: Path) -> None:
    for policy, answered, refused in (("dead_letter", [0, 2], 1), ("pass", [0, 1, 2], 0), (None, [0, 1, 2], 0)):
        ground = Ground(model, non_finite=policy)
        ground.assign(0)
        ground.poll([ground.value(1), ground.value(3), ground.value(2)])
        drain(ground)
        assert [one["source_offset"] for one in ground.predictions()] == answered
        assert len(ground.dead_letters()) == refused
        if policy is None:
            assert ground.predictions()[1]["scores"] == []
            assert ground.predictions()[1]["prediction"] is None


def test_a_position_is_committed_only_after_everything_below_it_was_delivered(ground: Ground) -> None:
    for number in range(30):
        ground.poll([ground.value(1)] * 3, offset=number * 3)
        ground.turn(after_s=0.1)
    ground.turn(20, after_s=0.1)
    assert ground.committed.commits
    for positions, delivered in ground.committed.commits:
        assert positions[P0].offset <= delivered
    assert ground.committed.commits[-1][0] == {P0: Position(1, 90)}


def test_a_refused_commit_is_asked_for_again(ground: Ground) -> None:
    ground.poll([ground.value(1)])
    ground.turn(250)
    assert len(ground.committed.commits) > 1
    ground.inbox.put(told.CommitAnswered({P0: 1}))
    ground.turn(250)
    settled = len(ground.committed.commits)
    ground.turn(250)
    assert len(ground.committed.commits) == settled


def test_settling_answers_what_is_done_and_voids_the_rest(ground: Ground) -> None:
    ground.poll([ground.value(1)] * 8)
    ground.turn()
    ground.poll([ground.value(2)] * 3, offset=8)
    answer = ground.inbox.settle([P0])
    ground.poll([ground.value(2)] * 3, partition=1)
    ground.turn(3)
    assert dict(answer.result(0)) == {P0: Position(1, 8)}
    assert drain(ground) == {P1: Position(1, 3)}
    assert {(one["source_partition"], one["source_offset"]) for one in ground.predictions()} == {
        *((0, offset) for offset in range(8)),
        *((1, offset) for offset in range(3)),
    }


def test_rows_polled_under_an_assignment_that_ended_are_never_scored(ground: Ground) -> None:
    ground.inbox.put(told.Forget([P0]))
    ground.assign(0, epoch=7)
    ground.poll([ground.value(1)] * 4, epoch=1)
    ground.poll([ground.value(1)] * 2, epoch=7)
    assert drain(ground) == {P0: Position(7, 2)}
    assert len(ground.predictions()) == 2


def test_all_credit_comes_back(ground: Ground) -> None:
    good, bad = ground.value(1), ground.value(KNOWN + 1)
    polled = [ground.poll([good, b"x", None, good, bad, good], offset=6 * n) for n in range(5)]
    polled.append(ground.poll([ground.value(1)], epoch=99))
    drain(ground)
    assert ground.intake.given == [sum(map(len, polled)), sum(one.size_bytes for one in polled)]


def test_polls_come_back_at_the_end_of_the_turn_that_heard_them_though_their_batch_is_not_due(ground: Ground) -> None:
    ground.poll([ground.value(1)])
    ground.poll([ground.value(1)], offset=1)
    ground.turn(after_s=0.0)
    assert (ground.intake.polls, ground.intake.given) == (2, [0, 0])


def test_a_batch_waits_for_the_registry_and_loses_nothing(ground: Ground) -> None:
    ground.decoder.refusals = 4
    ground.poll([ground.value(1)] * 3)
    ground.turn()
    assert ground.committed.commits == []
    ground.turn(100, after_s=0.1)
    assert [one["source_offset"] for one in ground.predictions()] == [0, 1, 2]
    assert ground.committed.commits[0][0] == {P0: Position(1, 3)}


def test_a_revoke_is_answered_while_a_batch_waits_for_the_registry(ground: Ground) -> None:
    ground.decoder.refusals = 1_000
    ground.poll([ground.value(1)] * 3)
    ground.turn(3)
    answer = ground.inbox.settle([P0])
    ground.turn()
    assert answer.result(0) == {}


def test_a_drain_leaves_what_waits_for_the_registry_uncommitted(ground: Ground) -> None:
    ground.poll([ground.value(1)] * 8)
    ground.turn()
    ground.decoder.refusals = 1_000
    ground.poll([ground.value(1)] * 3, offset=8)
    assert drain(ground) == {P0: Position(1, 8)}
    assert ground.scorer.ended


def test_a_poll_that_never_arrived_stops_the_worker(ground: Ground) -> None:
    records = ground.poll([ground.value(1)])
    ground.inbox.put(told.Arrived(5, records))
    with pytest.raises(Stop, match="poll 1 never reached the model"):
        ground.turn()


def test_once_the_inbox_is_closed_nobody_waits_for_an_answer() -> None:
    inbox = told.Inbox()
    before = inbox.settle([P0])
    inbox.close(Stop("ended"))
    after = inbox.drain()
    for answer in (before, after):
        assert isinstance(answer.exception(0), Stop)


def test_a_record_too_large_for_the_dead_letter_topic_goes_without_its_value_and_holds_nobody_up(
    ground: Ground,
) -> None:
    ground.producer.max_message_bytes = 1_000
    ground.poll([ground.value(1), b"x" * 2_000, ground.value(2)])
    assert drain(ground) == {P0: Position(1, 3)}
    (refused,) = ground.dead_letters()
    assert refused.value is None
    headers = dict(refused.headers)
    assert headers["stream_infer.omitted_value_bytes"] == b"2000"
    assert headers["__streams.errors.offset"] == b"1"
    assert len(ground.predictions()) == 2


def test_a_model_call_can_be_seen_while_it_runs_and_is_over_when_it_failed(model: Path) -> None:
    seen: list[float | None] = []
    ground = Ground(model)

    def watched(version: LoadedVersion) -> LoadedVersion:
        def call(*tensors: torch.Tensor) -> torch.Tensor:
            seen.append(ground.scorer.calling_since_s)
            return version.call(*tensors)

        return replace(version, call=call)

    ground.slot.swap(Serving(0, watched(ground.slot.serving.stable)))
    ground.assign(0)
    ground.poll([ground.value(1), ground.value(KNOWN + 1)])
    ground.turn()
    assert seen
    assert set(seen) == {ground.clock.now_s}
    assert ground.scorer.calling_since_s is None
