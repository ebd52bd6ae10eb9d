"""The job that every competitor does: the events, the model and the schemas; only the loop around them differs."""

import os
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from confluent_kafka import Producer

from stream_infer.avro import Decoder, Encoder, load_schema
from stream_infer.clock import SystemClock
from stream_infer.model import find_version, limit_threads

SCHEMAS = Path(__file__).parents[1] / "schemas"
EVENT = load_schema(SCHEMAS / "feature_event.avsc")
PREDICTION = load_schema(SCHEMAS / "prediction.avsc")
FEATURES = 32
LAYERS = (FEATURES, 64, 2)
ENTITIES = 5000
CHUNK = 10_000
LOADING = {"linger.ms": 50, "queue.buffering.max.messages": 1_000_000}


def load_topic(
    bootstrap_servers: str, topic: str, *, events: int, say: Callable[[str], None], features: int = FEATURES
) -> None:
    """Produce events of about 32 bytes and 4 for each feature, keyed by entity, and wait for their delivery."""
    producer = Producer({"bootstrap.servers": bootstrap_servers, **LOADING})
    for start in produced(producer, topic, events=events, features=features):
        if start % 100_000 == 0:
            say(f"loading {topic}: {start:,} of {events:,} events")
            producer.flush()
    producer.flush()


def produced(producer: Producer, topic: str, *, events: int, features: int = FEATURES) -> Iterator[int]:
    """Hand events to a producer, a chunk at a time; yields the number of the first of each chunk behind it."""
    encoder = Encoder(EVENT, output_format="single_object")
    generator = np.random.default_rng(0)
    for start in range(0, events, CHUNK):
        count = min(CHUNK, events - start)
        encoded = encoder.encode(make_events(start, count, generator, features=features))
        for number, value in enumerate(encoded, start):
            producer.produce(topic, value, b"entity-%d" % (number % ENTITIES))
        producer.poll(0)
        yield start


def make_events(start: int, count: int, generator: np.random.Generator, *, features: int = FEATURES) -> pa.RecordBatch:
    schema = EVENT.arrow_schema
    offsets = pa.array(np.arange(0, (count + 1) * features, features, dtype=np.int32))
    columns = [
        pa.array([f"event-{number:010d}" for number in range(start, start + count)]),
        pa.array([f"entity-{number % ENTITIES}" for number in range(start, start + count)]),
        pa.array(np.full(count, time.time_ns() // 1000)).cast(schema.field("event_time").type),
        pa.ListArray.from_arrays(offsets, pa.array(generator.random(count * features, dtype=np.float32))),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


class LoopJob:
    """Decode, model and encode for a bare loop: the worker's columnar codec, artifact and number of threads."""

    def __init__(self, repository: str) -> None:
        limit_threads(cores=len(os.sched_getaffinity(0)), chosen=os.environ.get("OMP_NUM_THREADS"))
        # The features lie in Arrow's memory, which nobody writes to.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        self._decoder = Decoder(
            EVENT,
            input_format="single_object",
            sources=None,
            local=[EVENT],
            max_record_bytes=1 << 20,
            clock=SystemClock(),
        )
        self._encoder = Encoder(PREDICTION, output_format="single_object")
        self._model = torch.export.load(find_version(repository, "default").path / "model.pt2").module()

    def answer(self, values: list[Any], topic: str, partitions: Any, offsets: Any) -> list[bytes]:
        """Return the prediction of each value; `partitions` and `offsets` are where each came from."""
        columns = self._decoder.decode(values, None).columns
        features = columns.column("features").flatten().to_numpy(zero_copy_only=False).reshape(columns.num_rows, -1)
        with torch.inference_mode():
            scores = torch.softmax(self._model(torch.from_numpy(features)), -1).numpy()
        return list(self._encoder.encode(_predictions(columns, scores, topic, partitions, offsets)))


def _predictions(columns: pa.RecordBatch, scores: Any, topic: str, partitions: Any, offsets: Any) -> pa.RecordBatch:
    count = len(scores)
    constants = {
        "model_name": "default",
        "model_version": "1",
        "model_digest": "0" * 64,
        "revision": 0,
        "variant": "stable",
        "source_topic": topic,
        "inferred_at": time.time_ns() // 1000,
        "label": None,
    }
    arrays = {
        **{name: columns.column(name) for name in ("event_id", "entity_id", "event_time")},
        "prediction": pa.array(scores.argmax(1).astype(np.float64)),
        "confidence": pa.array(scores.max(1)),
        "scores": pa.ListArray.from_arrays(
            pa.array(np.arange(0, scores.size + 1, scores.shape[1], dtype=np.int32)), pa.array(scores.reshape(-1))
        ),
        "source_partition": pa.array(partitions, pa.int32()),
        "source_offset": pa.array(offsets, pa.int64()),
    }
    schema = PREDICTION.arrow_schema
    typed = [
        arrays[one.name].cast(one.type)
        if one.name in arrays
        else pa.repeat(pa.scalar(constants[one.name], one.type), count)
        for one in schema
    ]
    return pa.RecordBatch.from_arrays(typed, schema=schema)
