"""A loop on aiokafka as a good user of it writes one: `getmany`, one batch at a time, offsets committed after delivery.

`getmany` returns what is there as soon as there is something, so there is one profile for throughput and latency.
aiokafka compresses with lz4 only with a further package; this loop does without.
"""

import asyncio
import signal
import time
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord

from benchmarks.job import LoopJob
from benchmarks.loop import Asked, Tally, asked

COMMIT_S = 1.0
WAIT_MS = 1000


async def send(
    records: Sequence[ConsumerRecord], job: LoopJob, *, producer: AIOKafkaProducer, ask: Asked
) -> list[asyncio.Future[Any]]:
    """Hand the predictions over; return what to wait for until they are delivered."""
    answers = job.answer(
        [one.value for one in records], ask.source, [one.partition for one in records], [one.offset for one in records]
    )
    return [
        await producer.send(ask.output, answer, key=one.key, timestamp_ms=one.timestamp)
        for one, answer in zip(records, answers, strict=True)
    ]


async def score(consumer: AIOKafkaConsumer, producer: AIOKafkaProducer, ask: Asked, tally: Tally) -> None:
    job = LoopJob(ask.repository)
    waiting: list[asyncio.Future[Any]] = []
    committed_s = time.monotonic()
    while tally.goes_on:
        fetched = await consumer.getmany(timeout_ms=WAIT_MS, max_records=ask.batch)
        records = [one for part in fetched.values() for one in part]
        if records:
            waiting += await send(records, job, producer=producer, ask=ask)
            tally.count(len(records))
        if waiting and time.monotonic() - committed_s > COMMIT_S:
            await asyncio.gather(*waiting)
            await consumer.commit()
            waiting.clear()
            committed_s = time.monotonic()
    await asyncio.gather(*waiting)


async def main() -> None:
    ask, tally = asked(), Tally()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, tally.end)
    consumer = AIOKafkaConsumer(
        ask.source,
        bootstrap_servers=ask.servers,
        group_id=ask.group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    producer = AIOKafkaProducer(bootstrap_servers=ask.servers, enable_idempotence=True, linger_ms=0)
    async with consumer, producer:
        await score(consumer, producer, ask, tally)
    tally.tell(ask.told)


if __name__ == "__main__":
    asyncio.run(main())
