"""What serves changes between two batches: whoever answers, each record is answered once, and in order."""

from collections import defaultdict
from dataclasses import replace
from itertools import pairwise

import pytest

from stream_infer.errors import Stop
from stream_infer.model import LoadedVersion
from stream_infer.model.serving import Serving
from stream_infer.pipeline import inbox as told
from stream_infer.records import Partition, Position
from stream_infer.testing.device import LaterDevice
from tests.pipeline.rolled import ByKey, Noted, Watching, broken, named, with_canary
from tests.pipeline.scored import KNOWN, TOPIC, Ground

P0, P1 = Partition(TOPIC, 0), Partition(TOPIC, 1)
KEYS = [b"key-%d" % number for number in range(20)]


@pytest.fixture
def ground(loaded: LoadedVersion) -> Ground:
    made = Ground(loaded)
    made.assign(0, 1)
    return made


def keys(count: int, *, start: int = 0) -> list[bytes]:
    return [KEYS[(start + row) % len(KEYS)] for row in range(count)]


def finish(ground: Ground) -> dict[Partition, Position]:
    answer = ground.inbox.drain()
    ground.turn()
    return dict(answer.result(0))


def served(ground: Ground) -> list[tuple[object, object, object, object]]:
    """Return offset, version, revision and variant of each prediction, in the order of their delivery."""
    names = ("source_offset", "model_version", "revision", "variant")
    found = ground.predictions()
    return [(one[names[0]], one[names[1]], one[names[2]], one[names[3]]) for one in found]


def keeps_the_order_of_each_key(ground: Ground) -> bool:
    by_key: dict[tuple[object, bytes | None], list[int]] = defaultdict(list)
    for one in ground.producer.delivered:
        place = ground.decoded(one)
        by_key[place["source_partition"], one.key].append(int(str(place["source_offset"])))
    return all(left < right for offsets in by_key.values() for left, right in pairwise(offsets))


def test_a_swap_takes_effect_at_the_next_batch_and_is_answered_then(ground: Ground, loaded: LoadedVersion) -> None:
    ground.poll([ground.value(1)] * 8)
    ground.turn(2)
    answer = ground.inbox.serve(Serving(7, named(loaded, "2")))
    ground.poll([ground.value(1)] * 8, offset=8)
    ground.turn()
    assert answer.result(0) is None
    finish(ground)
    assert served(ground) == [
        *((offset, "1", 0, "stable") for offset in range(8)),
        *((offset, "2", 7, "stable") for offset in range(8, 16)),
    ]


def test_batches_in_flight_keep_their_version_and_are_answered_first(loaded: LoadedVersion) -> None:
    device = LaterDevice()
    ground = Ground(replace(loaded, device=device), max_concurrent_batches=3)
    ground.assign(0)
    ground.poll([ground.value(1)] * 16)
    ground.turn(2)
    ground.inbox.serve(Serving(2, replace(loaded, device=device, version="2")))
    ground.poll([ground.value(1)] * 8, offset=16)
    finish(ground)
    assert [version for _, version, _, _ in served(ground)] == ["1"] * 16 + ["2"] * 8
    assert [offset for offset, _, _, _ in served(ground)] == list(range(24))


def test_each_variant_answers_the_keys_that_the_router_gives_it(ground: Ground, loaded: LoadedVersion) -> None:
    ground.inbox.serve(with_canary(3, loaded, named(loaded, "2"), percent=40))
    for number in range(10):
        ground.poll([ground.value(1)] * 12, offset=12 * number, keys=keys(12, start=number))
        ground.turn()
    assert finish(ground) == {P0: Position(1, 120)}
    assert len(ground.producer.delivered) == 120
    for one, (_, version, revision, variant) in zip(ground.producer.delivered, served(ground), strict=True):
        assert (version, variant) == (("2", "canary") if ByKey(40).takes(one.key) else ("1", "stable"))
        assert revision == 3
    assert {variant for _, _, _, variant in served(ground)} == {"stable", "canary"}
    assert keeps_the_order_of_each_key(ground)


def test_rows_that_wait_when_the_canary_ends_are_scored_by_stable_in_their_order(
    ground: Ground, loaded: LoadedVersion
) -> None:
    ground.inbox.serve(with_canary(1, loaded, named(loaded, "2"), percent=50))
    ground.poll([ground.value(1)] * 6, keys=keys(6))
    ground.turn(after_s=0.0)
    ground.inbox.serve(Serving(2, named(loaded, "3")))
    ground.poll([ground.value(1)] * 6, offset=6, keys=keys(6))
    finish(ground)
    assert [(offset, version) for offset, version, _, _ in served(ground)] == [(offset, "3") for offset in range(12)]


def test_a_dead_letter_carries_the_version_of_its_lane(ground: Ground, loaded: LoadedVersion) -> None:
    ground.inbox.serve(with_canary(1, loaded, named(loaded, "2"), percent=50))
    ground.poll([b"\xc3\x01 nonsense"] * 10, keys=KEYS[:10])
    ground.poll([ground.value(1)] * 10, keys=KEYS[:10], offset=10)
    finish(ground)
    letters = {one.key: dict(one.headers)["stream_infer.model_version"] for one in ground.dead_letters()}
    assert letters == {key: b"2" if ByKey(50).takes(key) else b"1" for key in KEYS[:10]}


def test_a_guard_hears_of_each_canary_batch_and_of_no_other(ground: Ground, loaded: LoadedVersion) -> None:
    guard = Watching()
    ground.inbox.serve(with_canary(1, loaded, named(loaded, "2"), percent=50, guard=guard))
    chosen = [key for key in KEYS if ByKey(50).takes(key)][:4]
    firsts = [1, 3, KNOWN + 1, 2]
    ground.poll([ground.value(first) for first in firsts], keys=chosen)
    ground.poll([b"nonsense"], partition=1, keys=chosen[:1])
    ground.poll([ground.value(3)] * 3, offset=4, keys=[key for key in KEYS if not ByKey(50).takes(key)][:3])
    finish(ground)
    assert guard.noted == [Noted(records=4, errors=1, non_finite=1)]


def test_a_canary_that_trips_serves_no_more_and_the_revision_stays(ground: Ground, loaded: LoadedVersion) -> None:
    guard = Watching(trips_at=1)
    ground.inbox.serve(with_canary(9, loaded, named(loaded, "2"), percent=50, guard=guard))
    for number in range(10):
        ground.poll([ground.value(1)] * 20, offset=20 * number, keys=keys(20))
        ground.turn(3)
    finish(ground)
    assert len(guard.noted) < 5
    assert ground.slot.serving.canary is None
    last = served(ground)[-20:]
    assert [(version, revision, variant) for _, version, revision, variant in last] == [("1", 9, "stable")] * 20
    assert sorted(int(str(offset)) for offset, _, _, _ in served(ground)) == list(range(200))
    assert keeps_the_order_of_each_key(ground)


def test_stable_answers_for_a_canary_that_fails_on_a_whole_batch(ground: Ground, loaded: LoadedVersion) -> None:
    guard = Watching()
    ground.inbox.serve(with_canary(4, loaded, broken(loaded, "2"), percent=50, guard=guard))
    ground.poll([ground.value(1)] * 40, keys=keys(40))
    assert finish(ground) == {P0: Position(1, 40)}
    assert {(version, revision, variant) for _, version, revision, variant in served(ground)} == {("1", 4, "stable")}
    assert sorted(int(str(offset)) for offset, _, _, _ in served(ground)) == list(range(40))
    assert keeps_the_order_of_each_key(ground)
    assert guard.noted == [Noted(records=8, errors=8, non_finite=0)]
    assert len(guard.failed) == 1
    assert ground.dead_letters() == []
    assert ground.intake.given[0] == 40


def test_what_was_launched_behind_a_failing_canary_batch_is_scored_again_behind_it(loaded: LoadedVersion) -> None:
    device = LaterDevice()
    on_device = replace(loaded, device=device)
    ground = Ground(on_device, max_concurrent_batches=2)
    ground.assign(0)
    ground.inbox.serve(with_canary(1, on_device, broken(on_device, "2"), percent=100, guard=Watching()))
    ground.poll([ground.value(1)] * 8, keys=keys(8))
    ground.turn()
    ground.inbox.serve(Serving(2, named(on_device, "3")))
    ground.poll([ground.value(1)] * 16, offset=8, keys=keys(16))
    finish(ground)
    assert [(offset, version) for offset, version, _, _ in served(ground)] == [(offset, "3") for offset in range(24)]
    assert keeps_the_order_of_each_key(ground)


def test_a_stable_version_that_fails_on_everything_is_not_spared_by_its_canary(
    ground: Ground, loaded: LoadedVersion
) -> None:
    ground.inbox.serve(with_canary(1, broken(loaded, "1"), named(loaded, "2"), percent=0, guard=Watching()))
    ground.poll([ground.value(1)] * 8)
    ground.turn()
    assert "no record of a batch of 8 could be scored, nor zeros" in str(ground.scorer.stopped)


def test_a_revoke_while_a_canary_runs_leaves_nothing_answered_beyond_the_position(
    ground: Ground, loaded: LoadedVersion
) -> None:
    ground.inbox.serve(with_canary(1, loaded, named(loaded, "2"), percent=50))
    stable = [key for key in KEYS if not ByKey(50).takes(key)]
    canary = [key for key in KEYS if ByKey(50).takes(key)]
    ground.poll([ground.value(1)] * 3, keys=canary[:3])
    ground.poll([ground.value(1)] * 8, offset=3, keys=stable[:8])
    ground.turn(after_s=0.0)
    answer = ground.inbox.settle([P0])
    ground.turn(after_s=0.0)
    assert dict(answer.result(0)) == {P0: Position(1, 11)}
    assert len(ground.predictions()) == 11


def test_a_batch_that_waits_for_the_registry_is_dealt_anew(ground: Ground, loaded: LoadedVersion) -> None:
    ground.decoder.refusals = 1
    ground.poll([ground.value(1)] * 8)
    ground.turn()
    small = replace(loaded, version="2", bound=replace(loaded.bound, high=3))
    ground.inbox.serve(Serving(2, small))
    ground.turn(5)
    finish(ground)
    assert [(offset, version) for offset, version, _, _ in served(ground)] == [(offset, "2") for offset in range(8)]


def test_a_version_that_reads_a_field_that_nobody_has_is_refused_and_changes_nothing(
    ground: Ground, loaded: LoadedVersion
) -> None:
    ground.refused_versions.add("2")
    answers = [ground.inbox.serve(Serving(2, named(loaded, "2"))), ground.inbox.warm(named(loaded, "2"))]
    ground.poll([ground.value(1)])
    finish(ground)
    assert all(isinstance(answer.exception(0), Stop) for answer in answers)
    assert [version for _, version, _, _ in served(ground)] == ["1"]


def test_requests_that_the_scorer_has_not_done_yet_are_refused_when_the_inbox_closes(
    ground: Ground, loaded: LoadedVersion
) -> None:
    with ground.slot.lease():
        ground.inbox.serve(Serving(2, named(loaded, "2")))
        waiting = ground.inbox.release(loaded)
        ground.turn(3)
        assert not waiting.done()
        ground.inbox.close(Stop("ended"))
    assert isinstance(waiting.exception(0), Stop)


def test_an_answer_that_nobody_waits_for_any_more_hurts_nobody(ground: Ground, loaded: LoadedVersion) -> None:
    answer = ground.inbox.serve(Serving(2, named(loaded, "2")))
    answer.cancel()
    ground.turn()
    assert ground.slot.serving.revision == 2
    told.reply(answer, None)
