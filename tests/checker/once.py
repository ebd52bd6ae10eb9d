"""What exactly once adds to the laws, for a run that is over: no transaction is open."""

from collections import Counter
from collections.abc import Iterator

from tests.checker.history import History, Violation


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


def nothing_ahead(history: History) -> Iterator[Violation]:
    """I5: no record from the committed offset on is answered."""
    committed = history.committed
    for answer in history.answers():
        if answer.source.offset >= committed.get(answer.source.lane, 0):
            yield Violation("I5", f"{answer.source} is answered at {answer.place} and not committed")
