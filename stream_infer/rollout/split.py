"""Split: which records a canary scores. Equal on every worker, in every replay and in every language.

A record's share is the first eight bytes, as a big-endian number, of the 64-byte BLAKE2b digest (no key, salt or
personalisation) over the seed in UTF-8, one zero byte and the record's key, modulo 10,000. A record without a key
counts with the bytes of its source position instead: `<topic>/<partition>/<offset>` in UTF-8, numbers in decimal. The
canary scores the records whose share is below percent x 100, so that a growing percentage only ever adds records.
`schemas/canary_vectors.json` has examples.
"""

from collections.abc import Iterator
from hashlib import blake2b
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stream_infer.records import Place, Records

SHARES: Final = 10_000
"""Shares that records are dealt into: one is a hundredth of a percent."""


def share_of(key: bytes | None, position: Place, seed: str) -> int:
    """Return a record's share, 0 to 9999; `position` is where it lies."""
    return _Shares(seed).of(_place(position) if key is None else key)


class Split:
    """Deals records to the canary: `hundredths` of 10,000 shares, by `seed`."""

    def __init__(self, seed: str, hundredths: int) -> None:
        self._shares = _Shares(seed)
        self._hundredths = hundredths

    def canary_rows(self, records: Records) -> NDArray[np.bool_]:
        """Return one bool for each row: True where the canary scores it. A key is hashed once a batch."""
        if self._hundredths in {0, SHARES}:
            return np.full(len(records), self._hundredths == SHARES)
        keys = list(_hashed(records)) if None in records.keys else records.keys
        chosen = {key for key in set(keys) if key is not None and self._shares.of(key) < self._hundredths}
        return np.fromiter((key in chosen for key in keys), dtype=np.bool_, count=len(keys))


class _Shares:
    """Hashes with one seed, which is hashed ahead."""

    def __init__(self, seed: str) -> None:
        self._prefix = blake2b(seed.encode() + b"\0")

    def of(self, hashed: bytes) -> int:
        whole = self._prefix.copy()
        whole.update(hashed)
        return int.from_bytes(whole.digest()[:8]) % SHARES


def _hashed(records: Records) -> Iterator[bytes]:
    """Return for each row the bytes that decide its share."""
    for run in records.runs:
        for row in range(run.start, run.stop):
            key = records.keys[row]
            if key is None:
                origin = records.origin(row) if records.origins else Place(run.source, int(records.offsets[row]))
                key = _place(origin)
            yield key


def _place(place: Place) -> bytes:
    return f"{place.source.topic}/{place.source.partition}/{place.offset}".encode()
