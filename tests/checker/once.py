"""What exactly once adds to the laws, for a run that is over: no transaction is open."""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from tests.checker.history import Commit, History, Partition, Place, Violation, Written


def laws_of_exactly_once(history: History) -> list[Iterator[Violation]]:
    """Return what each law found: the first two look at answers, the others need `along`, `written` or `commits`."""
    return [
        single_answer(history),
        tries_answered(history),
        nothing_ahead(history),
        same_along(history),
        only_committed(history),
        one_owner(history.commits),
    ]


def single_answer(history: History) -> Iterator[Violation]:
    """I1 and I2: a position has one answer; sent back, it has one prediction at most, and one letter more each time."""
    predicted = Counter(one.source for one in history.predictions)
    refused = Counter(one.source for one in history.dead_letters)
    sent_back = Counter(one.source for one in history.retries)
    for source, count in predicted.items():
        if count > 1:
            yield Violation("I2", f"{source} has {count} predictions, expected one")
        if source in refused and refused[source] > sent_back[source]:
            yield Violation("I2", f"{source} has a prediction and as many dead letters as nobody sent back")
    for source, count in refused.items():
        if count > sent_back[source] + 1:
            yield Violation("I2", f"{source} has {count} dead letters and was sent back {sent_back[source]} times")


def tries_answered(history: History) -> Iterator[Violation]:
    """I1: a record that was sent back is answered once more for each of its tries that is committed."""
    # Whoever watched need not have asked for the retry topic.
    committed = {**history.committed, **{one.lane: one.offset for one in history.commits}}
    tries = Counter(one.source for one in history.retries if one.place.offset < committed.get(one.place.lane, 0))
    answers = Counter(answer.source for answer in history.answers())
    for source, count in tries.items():
        if answers[source] < count + 1:
            yield Violation("I1", f"{source} was sent back {count} times and has {answers[source]} answers in all")


def nothing_ahead(history: History) -> Iterator[Violation]:
    """I5: no record from the committed offset on is answered."""
    committed = history.committed
    for answer in history.answers():
        if answer.source.offset >= committed.get(answer.source.lane, 0):
            yield Violation("I5", f"{answer.source} is answered at {answer.place} and not committed")


def same_along(history: History) -> Iterator[Violation]:
    """I1, I2 and I6 for whoever reads along: the same records as afterwards, each once, up to where it came."""
    afterwards = {answer.place for answer in history.answers()}
    seen: set[Place] = set()
    for place in history.along:
        if place in seen:
            yield Violation("I2", f"{place} came twice to who read along")
        if place not in afterwards:
            yield Violation("I6", f"{place} came to who read along and is not there afterwards")
        seen.add(place)
    newest: dict[Partition, int] = {}
    for place in seen:
        newest[place.lane] = max(place.offset, newest.get(place.lane, -1))
    for place in sorted(afterwards - seen):
        if place.offset < newest.get(place.lane, -1):
            yield Violation("I1", f"{place} never came to who read along, and later ones did")


def only_committed(history: History) -> Iterator[Violation]:
    """I6: whatever anyone saw was written inside a transaction that was committed."""
    if not history.written:
        return
    logs: dict[Partition, list[Written]] = defaultdict(list)
    for one in history.written:
        logs[one.lane].append(one)
    for place in sorted({*history.along, *(answer.place for answer in history.answers())}):
        log = logs[place.lane]
        row = bisect_right(log, place.offset, key=lambda one: one.first) - 1
        fate = log[row].fate if row >= 0 and place.offset <= log[row].last else "nowhere in the log"
        if fate != "committed":
            yield Violation("I6", f"{place} was read, and what was written there is {fate}")


def one_owner(commits: Sequence[Commit]) -> Iterator[Violation]:
    """I7 and I5: in a generation one producer commits for a partition, never backwards; a fenced one none.

    Who lost a partition believes in an older generation than the group's; what it commits counts as the group's.
    """
    owners: dict[tuple[Partition, int], int] = {}
    epochs: dict[int, int] = {}
    reached: dict[Partition, int] = {}
    for one in commits:
        what = f"{one.offset} of {one.lane}"
        owner = owners.setdefault((one.lane, one.generation), one.producer)
        if owner != one.producer:
            yield Violation("I7", f"{what} was committed by producer {one.producer}, and the partition is {owner}'s")
        if one.epoch < epochs.get(one.producer, 0):
            yield Violation("I7", f"{what} was committed by a producer that another one with its id had fenced off")
        if one.offset < reached.get(one.lane, 0):
            yield Violation("I5", f"{what} was committed after {reached[one.lane]}")
        epochs[one.producer] = max(one.epoch, epochs.get(one.producer, 0))
        reached[one.lane] = max(one.offset, reached.get(one.lane, 0))
