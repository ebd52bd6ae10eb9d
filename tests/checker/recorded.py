"""A small history without a fault: two partitions, a null value, an undecodable one, two moments of observation."""

import numpy as np

from tests.checker.history import STABLE, DeadLetter, Event, History, Observation, Partition, Place, Prediction
from tests.checker.reference import Layer, MlpReference

REFERENCES = {
    "1": MlpReference((Layer(np.array([[1.0, -1.0], [-0.5, 2.0]]), np.array([0.1, -0.1])),)),
    "2": MlpReference((Layer(np.array([[-0.5, 0.25], [1.5, 0.5]]), np.array([0.0, 0.2])),)),
}
PER_PARTITION = 4
FIRST_TIME_MS = 1_700_000_000_000
NULL = Place("in", 1, 1)
UNDECODABLE = Place("in", 1, 2)


def recorded() -> History:
    """Return the history; its events are made from a seed, its answers by the reference model."""
    events = [_event(Place("in", partition, offset)) for partition in (0, 1) for offset in range(PER_PARTITION)]
    return History(
        events=events,
        predictions=_predictions([event for event in events if event.features is not None]),
        dead_letters=[DeadLetter(Place("dead", 0, 0), UNDECODABLE)],
        observations=[
            Observation(_at("in", 2, 0), _at("out", 2, 0)),
            Observation(_at("in", PER_PARTITION, PER_PARTITION), _at("out", PER_PARTITION, 2) | _at("dead", 1, 0)),
        ],
    )


def _at(topic: str, first: int, second: int) -> dict[Partition, int]:
    return {Partition(topic, 0): first, Partition(topic, 1): second}


def _event(place: Place) -> Event:
    seed = place.partition * PER_PARTITION + place.offset
    features = np.random.default_rng(seed).normal(size=2).astype(np.float32).tolist()
    readable = place not in {NULL, UNDECODABLE}
    return Event(
        place,
        f"key-{place.partition}".encode(),
        FIRST_TIME_MS + seed,
        skipped=place == NULL,
        event_id=f"event-{seed}" if readable else None,
        features=features if readable else None,
    )


def _predictions(events: list[Event]) -> list[Prediction]:
    scores = REFERENCES["1"].scores([event.features or () for event in events])
    ends = [0, 0]
    made = []
    for event, row in zip(events, scores, strict=True):
        partition = event.place.partition
        made.append(answer(event, Place("out", partition, ends[partition]), row.tolist()))
        ends[partition] += 1
    return made


def answer(event: Event, place: Place, scores: list[float]) -> Prediction:
    """Return the prediction at `place` with these scores, by version 1 before any rollout."""
    return Prediction(
        place,
        event.key,
        event.timestamp_ms,
        event.place,
        event_id=event.event_id,
        prediction=float(np.argmax(scores)),
        confidence=max(scores),
        scores=scores,
        version="1",
        digest="digest-of-1",
        revision=0,
        variant=STABLE,
        inferred_at_us=FIRST_TIME_MS * 1000,
    )
