"""At least once: what the scorer does when the producer is lost with what it had not delivered yet."""

from pathlib import Path

import pytest

from stream_infer.errors import Undone
from stream_infer.pipeline import inbox as told
from stream_infer.records import Assigned, Partition
from tests.pipeline.scored import TOPIC, Ground, write_lookup

FIRST = Partition(TOPIC, 0)


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    """Own one partition, from its first offset on, two records of which are answered and not committed yet."""
    made = Ground(write_lookup(tmp_path))
    made.inbox.put(told.Begin([Assigned(FIRST, 1, 0, committed=True)]))
    made.poll([made.value(1.0), made.value(2.0)])
    made.turn(2)
    return made


def commits(ground: Ground) -> list[int]:
    return [positions[FIRST].offset for positions, _ in ground.committed.commits]


def test_what_a_lost_producer_did_not_deliver_is_read_and_answered_again(ground: Ground) -> None:
    ground.producer.losses = 1
    ground.turn(3, after_s=1.0)
    assert ground.committed.rewinds == 1
    assert (ground.predictions(), commits(ground)) == ([], [])
    ground.poll([ground.value(5.0)], offset=2)  # read before the rewind
    ground.inbox.put(told.Rewound([Assigned(FIRST, 2, 0, committed=True)]))
    ground.poll([ground.value(1.0), ground.value(2.0)], epoch=2)
    ground.turn(4, after_s=1.0)
    assert [one.key for one in ground.producer.delivered] == [b"key-0", b"key-1"]
    assert set(commits(ground)) == {2}
    assert ground.committed.rewinds == 1


def test_a_lost_producer_is_noticed_while_nothing_is_sent(ground: Ground) -> None:
    ground.turn(1, after_s=1.0)
    ground.inbox.put(told.CommitAnswered({FIRST: 2}))
    ground.producer.losses = 1
    ground.turn(3, after_s=1.0)
    assert ground.committed.rewinds == 1


def test_a_revoke_during_which_the_producer_is_lost_commits_nothing(ground: Ground) -> None:
    ground.producer.losses = 1
    answer = ground.inbox.settle([FIRST])
    ground.turn()
    assert answer.result() == {}


def test_a_drain_during_which_the_producer_is_lost_is_not_a_clean_one(ground: Ground) -> None:
    ground.producer.losses = 1
    answer = ground.inbox.drain()
    ground.turn()
    assert isinstance(answer.exception(0), Undone)
    assert commits(ground) == []
    assert ground.scorer.ended


def test_what_is_told_while_the_producer_turns_out_to_be_lost_is_heard(ground: Ground) -> None:
    ground.turn(1, after_s=1.0)
    ground.inbox.put(told.CommitAnswered({FIRST: 2}))
    ground.poll([ground.value(4.0)], offset=2)
    ground.producer.losses = 1
    ground.turn(1, after_s=1.0)
    answer = ground.inbox.settle([FIRST])
    ground.poll([ground.value(5.0)], offset=3)
    ground.turn(2)
    assert answer.result(0) == {}
    assert ground.intake.given[0] == 4
