"""What became of each transaction, and who committed which positions, from the logs alone."""

import struct
from collections.abc import Iterable, Sequence

from tests.checker.history import Commit, Fate, Partition, Written
from tests.checker.wire import Batch, Entry, read_batches

OFFSETS_TOPIC = "__consumer_offsets"
OFFSET_KEYS = frozenset({0, 1})
GROUP_KEY = 2


def read_written(bootstrap_servers: str, *topics: str) -> list[Written]:
    """Return every batch of data that the topics hold now, with its fate."""
    return [
        Written(batch.lane, batch.first, batch.last, fate)
        for topic in topics
        for batch, fate in fates(read_batches(bootstrap_servers, topic))
    ]


def read_commits(bootstrap_servers: str, group: str) -> list[Commit]:
    """Return the group's positions that counted, in the order in which the coordinator took them."""
    return commits_of(fates(read_batches(bootstrap_servers, OFFSETS_TOPIC)), group=group)


def fates(batches: Iterable[Batch]) -> list[tuple[Batch, Fate]]:
    """Return the batches of data, in their order; a producer's marker decides on what it left open in a partition."""
    decided: list[tuple[Batch, Fate]] = []
    waiting: dict[tuple[Partition, int], list[int]] = {}
    for batch in batches:
        way = (batch.lane, batch.producer)
        if batch.is_marker:
            fate: Fate = "committed" if batch.commits() else "aborted"
            for row in waiting.pop(way, []):
                decided[row] = (decided[row][0], fate)
        elif batch.is_transactional:
            waiting.setdefault(way, []).append(len(decided))
            decided.append((batch, "open"))
        else:
            decided.append((batch, "in no transaction"))
    return decided


def commits_of(decided: Sequence[tuple[Batch, Fate]], *, group: str) -> list[Commit]:
    """Return a group's positions; the coordinator writes the group down between those of two generations."""
    found: list[Commit] = []
    generation = 0
    for batch, fate in decided:
        for entry in batch.entries():
            version, named, lane = _key(entry.key or b"")
            if named == group and version == GROUP_KEY:
                generation += 1
            # Without a value the position has expired.
            elif named == group and lane and entry.value and fate in {"committed", "in no transaction"}:
                found.append(Commit(lane, _offset(entry), generation, batch.producer, batch.epoch))
    return found


def _key(key: bytes) -> tuple[int, str, Partition | None]:
    """Return a key's kind, the group and, where it is a position's, the partition; other kinds name no group."""
    (version,) = struct.unpack_from(">h", key)
    if version not in OFFSET_KEYS | {GROUP_KEY}:
        return version, "", None
    group, at = _text(key, 2)
    if version == GROUP_KEY:
        return version, group, None
    topic, at = _text(key, at)
    return version, group, Partition(topic, struct.unpack_from(">i", key, at)[0])


def _text(key: bytes, at: int) -> tuple[str, int]:
    (length,) = struct.unpack_from(">h", key, at)
    end = at + 2 + length
    return key[at + 2 : end].decode(), end


def _offset(entry: Entry) -> int:
    # In every version of the value it follows the version.
    (offset,) = struct.unpack_from(">q", entry.value or b"", 2)
    return int(offset)
