"""The laws of at-least-once scoring, checked on a history: no code of the worker takes part.

I1 no loss, I2 one answer per position, I3 no phantom, I4 order, I5 offsets; each yields what it found wrong. What
exactly once adds, I10 (which version answers), and the laws on more than topics and offsets have files of their own.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, pairwise

import numpy as np

from tests.checker.history import Event, History, Observation, Partition, Place, Prediction, Violation
from tests.checker.once import laws_of_exactly_once
from tests.checker.reference import Reference
from tests.checker.rollouts import one_version_at_a_time

TOLERANCE = 1e-4
SHOWN_PER_LAW = 3


def check(history: History, references: Mapping[str, Reference], *, exactly_once: bool = False) -> list[Violation]:
    """Return the first few violations of each law; an empty list says that all of them hold.

    `references` are the models by version. `exactly_once` adds what only that promises, once no transaction is open.
    """
    found = [
        *(laws_of_exactly_once(history) if exactly_once else ()),
        no_loss(history),
        one_answer(history),
        no_phantom(history, references),
        deserved(history, references),
        order(history),
        offsets(history),
        one_version_at_a_time(history),
    ]
    return [violation for law in found for violation in islice(law, SHOWN_PER_LAW)]


def unanswered(history: History) -> list[Place]:
    """Return the input positions without any answer, committed or not; null values need none."""
    answered = {answer.source for answer in history.answers()}
    return [event.place for event in history.events if not event.skipped and event.place not in answered]


def duplicates(history: History) -> int:
    """Return how many answers there are beyond one for each position: what at least once may leave."""
    answers = history.answers()
    return len(answers) - len({answer.source for answer in answers})


def no_loss(history: History) -> Iterator[Violation]:
    """I1: every input offset below the committed one is answered, unless its value is null: then it has none."""
    answered = {answer.source for answer in history.answers()}
    committed = history.committed
    for event in history.events:
        is_committed = event.place.offset < committed.get(event.place.lane, 0)
        if is_committed and not event.skipped and event.place not in answered:
            yield Violation("I1", f"{event.place} is committed and was never answered")
        if event.skipped and event.place in answered:
            yield Violation("I1", f"{event.place} has no value and was answered")


def one_answer(history: History) -> Iterator[Violation]:
    """I2: all answers to one position by one version say the same, and all are predictions or all dead letters.

    A replay after a swap meets another version: its answer has the same position and may say something else.
    """
    first: dict[tuple[Place, str], Prediction] = {}
    refused = {letter.source for letter in history.dead_letters} - history.retried
    for answer in history.predictions:
        earlier = first.setdefault((answer.source, answer.version), answer)
        if earlier is not answer and not _same(earlier, answer):
            yield Violation("I2", f"{answer.source} has two answers: at {earlier.place} and at {answer.place}")
        if answer.source in refused:
            yield Violation("I2", f"{answer.source} has a prediction at {answer.place} and a dead letter")


def no_phantom(history: History, references: Mapping[str, Reference]) -> Iterator[Violation]:
    """I3: every answer belongs to an input, and is that input's as the version that the answer names scores it."""
    events = {event.place: event for event in history.events}
    yield from (
        Violation("I3", f"the answer at {answer.place} names {answer.source}, which is no input")
        for answer in history.answers()
        if answer.source not in events
    )
    known = [(events[one.source], one) for one in history.predictions if one.source in events]
    yield from (
        Violation("I3", f"the prediction at {one.place} for {event.place} does not carry the input's {what}")
        for event, one in known
        for what in _not_carried(event, one)
    )
    scored: dict[str, list[tuple[Event, Prediction]]] = defaultdict(list)
    for event, one in known:
        if event.features is not None:
            scored[one.version].append((event, one))
    for version, answered in scored.items():
        if version in references:
            yield from _wrong_scores(answered, references[version])
        else:
            yield Violation("I3", f"{answered[0][0].place} was answered by version {version}, which nobody made")


def deserved(history: History, references: Mapping[str, Reference]) -> Iterator[Violation]:
    """I3: a record that the version of its dead letter can score has none, unless somebody tried it again.

    A version that nobody told of may refuse whatever it wants; a letter without a version asks them all.
    """
    letters, retried = {letter.source: letter for letter in history.dead_letters}, history.retried
    for event in history.events:
        letter = letters.get(event.place)
        if letter is None or event.features is None or event.place in retried:
            continue
        asked = references.values() if letter.version is None else filter(None, [references.get(letter.version)])
        if any(_can_score(reference, event.features) for reference in asked):
            yield Violation("I3", f"{event.place} has a dead letter at {letter.place}, and its version can score it")


def _can_score(reference: Reference, features: Sequence[float]) -> bool:
    try:
        with np.errstate(all="ignore"):
            return bool(np.isfinite(reference.scores([features])).all())
    except ValueError:
        return False


def order(history: History) -> Iterator[Violation]:
    """I4: the predictions of a source partition first appear in its order, in each output partition.

    Those of one key always; those of two keys unless a canary ran for one of them, because variants batch apart.
    """
    apart = {one.revision for one in history.rollouts if one.canary}
    newest: dict[tuple[Partition, Partition], Prediction] = {}
    of_key: dict[tuple[Partition, Partition, bytes], Prediction] = {}
    for one in _first_appearances([one for one in history.predictions if one.source not in history.retried]):
        lane = (one.place.lane, one.source.lane)
        before = newest.get(lane, one)
        behind = one if one.key is None else of_key.get((*lane, one.key), one)
        if apart.isdisjoint({one.revision, before.revision}):
            behind = max(behind, before, key=_offset)
        if one.source.offset < behind.source.offset:
            yield Violation("I4", f"{one.source} first appears at {one.place}, after {behind.source}")
        newest[lane] = max(before, one, key=_offset)
        if one.key is not None:
            of_key[(*lane, one.key)] = max(of_key.get((*lane, one.key), one), one, key=_offset)


def offsets(history: History) -> Iterator[Violation]:
    """I5: at no moment was an offset committed past a record whose answer was not there yet, or moved back."""
    places = _answer_places(history)
    events = _by_lane(history.events)
    for before, after in pairwise([Observation({}, {}), *history.observations]):
        for lane, committed in after.committed.items():
            start = before.committed.get(lane, 0)
            if committed < start:
                yield Violation("I5", f"the committed offset of {lane} went back from {start} to {committed}")
            # What is below `start` was checked against an earlier, stricter moment.
            for event in _between(events.get(lane, []), start, committed):
                if not event.skipped and not _is_there(places.get(event.place, ()), after.ends):
                    yield Violation("I5", f"{committed} was committed for {lane} before {event.place} was answered")


def _first_appearances(predictions: Sequence[Prediction]) -> Iterator[Prediction]:
    """Return those that are the first in their output partition to answer their position."""
    seen: set[tuple[Partition, Place]] = set()
    for one in predictions:
        if (one.place.lane, one.source) not in seen:
            seen.add((one.place.lane, one.source))
            yield one


def _offset(one: Prediction) -> int:
    return one.source.offset


def _same(one: Prediction, other: Prediction) -> bool:
    if len(one.scores) != len(other.scores) or one.prediction != other.prediction:
        return False
    return all(abs(a - b) <= TOLERANCE for a, b in zip(one.scores, other.scores, strict=True))


def _not_carried(event: Event, one: Prediction) -> Iterator[str]:
    if event.features is None:
        yield "score: there is none for it"
    if event.key != one.key:
        yield "key"
    if event.timestamp_ms != one.timestamp_ms:
        yield "timestamp"
    if event.event_id != one.event_id:
        yield "event id"


def _wrong_scores(scored: Sequence[tuple[Event, Prediction]], reference: Reference) -> Iterator[Violation]:
    expected = reference.scores([event.features or () for event, _ in scored])
    width = expected.shape[1]
    odd = [len(one.scores) != width for _, one in scored]
    # Whole columns at once: a hundred thousand rows one by one would take as long as the run itself.
    got = np.array([[0.0] * width if wrong else one.scores for wrong, (_, one) in zip(odd, scored, strict=True)])
    best = got.max(axis=1)
    chosen = np.array([-1 if one.prediction is None else int(one.prediction) for _, one in scored])
    confidence = np.array([np.nan if one.confidence is None else one.confidence for _, one in scored])
    is_wrong = np.abs(got - expected).max(axis=1) > TOLERANCE
    is_wrong |= np.array(odd) | (chosen < 0) | (chosen >= width) | ~(np.abs(confidence - best) <= TOLERANCE)
    is_wrong |= got[np.arange(len(got)), np.clip(chosen, 0, width - 1)] < best
    for row in np.flatnonzero(is_wrong).tolist():
        event, one = scored[row]
        said = f"prediction {one.prediction}, confidence {one.confidence}, scores {list(one.scores)}"
        yield Violation("I3", f"{event.place} got {said}; the reference model says {expected[row].tolist()}")


def _answer_places(history: History) -> Mapping[Place, list[Place]]:
    """Return where each position is first answered, for each partition that holds an answer to it."""
    first: dict[Place, list[Place]] = defaultdict(list)
    for answer in history.answers():
        known = first[answer.source]
        if all(place.lane != answer.place.lane for place in known):
            known.append(answer.place)
    return first


def _by_lane(events: Sequence[Event]) -> Mapping[Partition, list[Event]]:
    lanes: dict[Partition, list[Event]] = defaultdict(list)
    for event in events:
        lanes[event.place.lane].append(event)
    return lanes


def _between(lane: Sequence[Event], start: int, stop: int) -> Sequence[Event]:
    first, last = (bisect_left(lane, offset, key=lambda event: event.place.offset) for offset in (start, stop))
    return lane[first:last]


def _is_there(places: Sequence[Place], ends: Mapping[Partition, int]) -> bool:
    return any(place.offset < ends.get(place.lane, 0) for place in places)
