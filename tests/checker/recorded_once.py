"""The recorded history as exactly once leaves it: two producers, a partition that changes hands, an aborted try."""

from dataclasses import replace

from tests.checker.history import Commit, DeadLetter, History, Partition, Place, Prediction, Retry, Written
from tests.checker.recorded import UNDECODABLE, recorded

FIRST, SECOND = 11, 12
GIVEN = Partition("in", 0)
"""The partition that the first producer gives to the second one."""
ABORTED = Place("out", 0, 6)


def recorded_once() -> History:
    """Return the history with everything committed; a reader of committed records has come to the last answer."""
    history = recorded()
    last = history.observations[-1]
    ends = {lane: sum(one.place.lane == lane for one in history.events) for lane in last.committed}
    return replace(
        history,
        observations=[*history.observations[:-1], replace(last, committed=ends)],
        along=sorted(answer.place for answer in history.answers()),
        written=[
            Written(Partition("out", 0), 0, 1, "committed"),
            Written(Partition("out", 0), 2, 3, "committed"),
            Written(ABORTED.lane, 5, 6, "aborted"),
            Written(ABORTED.lane, 8, 8, "open"),
            Written(Partition("out", 1), 0, 1, "committed"),
            Written(Partition("dead", 0), 0, 0, "committed"),
        ],
        commits=[
            Commit(GIVEN, 2, generation=1, producer=FIRST, epoch=0),
            Commit(Partition("in", 1), 4, generation=1, producer=FIRST, epoch=1),
            Commit(GIVEN, 4, generation=2, producer=SECOND, epoch=0),
        ],
    )


def sent_back(history: History, times: int = 1) -> History:
    """Return the history with the dead letter sent back, each try committed."""
    retries = [Retry(Place("retry", 0, number), UNDECODABLE) for number in range(times)]
    more = Commit(Partition("retry", 0), times, generation=2, producer=SECOND, epoch=0)
    return replace(history, retries=retries, commits=[*history.commits, more])


def refused_again(history: History) -> History:
    """Return the history with one more dead letter, as a try leaves it that cannot be scored either."""
    place = Place("dead", 0, 1 + max(one.place.offset for one in history.dead_letters))
    return _with_answer(history, DeadLetter(place, UNDECODABLE))


def answered_again(history: History, source: Place, place: Place) -> History:
    """Return the history with one more prediction, a copy of another for `source`."""
    return _with_answer(history, history.predictions[0]._replace(source=source, place=place))


def _with_answer(history: History, answer: Prediction | DeadLetter) -> History:
    key = "predictions" if isinstance(answer, Prediction) else "dead_letters"
    at = answer.place
    return replace(
        history,
        **{key: [*getattr(history, key), answer]},
        written=sorted([*history.written, Written(at.lane, at.offset, at.offset, "committed")]),
    )
