"""The demo's rows: 1,797 hand-written digits that come inside scikit-learn."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stream_infer.errors import Stop

PIXELS: Final = 64
CLASSES: Final = 10
_BRIGHTEST: Final = 16.0
_HELD_OUT_SHARE: Final = 0.2
_SEED: Final = 7


@dataclass(frozen=True, slots=True)
class Rows:
    """Digits: `pixels` float32 [rows, 64] from 0 to 1, and the `digits` int64 [rows] that they show."""

    pixels: NDArray[np.float32]
    digits: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.digits)

    def take(self, chosen: NDArray[np.int64]) -> "Rows":
        """Return the chosen rows, in that order."""
        return Rows(self.pixels[chosen], self.digits[chosen])


@dataclass(frozen=True, slots=True)
class Digits:
    """The rows that a network may learn from, and those that it never sees before they are streamed."""

    train: Rows
    held_out: Rows


def load_digits() -> Digits:
    """Return the digits, split in the same way each time. Raises Stop when scikit-learn is not installed."""
    try:
        from sklearn import datasets  # noqa: PLC0415 - an extra: only the demo wants it
    except ImportError as error:
        raise Stop(
            "The demo streams scikit-learn's digits and scikit-learn is not installed, expected it to be: "
            "run pip install '.[demo]'."
        ) from error
    pixels, digits = datasets.load_digits(return_X_y=True)
    return split(Rows((pixels / _BRIGHTEST).astype(np.float32), digits.astype(np.int64)))


def split(rows: Rows) -> Digits:
    """Return the rows shuffled and cut in two, a fifth held out."""
    order = np.random.default_rng(_SEED).permutation(len(rows))
    held_out = int(len(rows) * _HELD_OUT_SHARE)
    return Digits(train=rows.take(order[held_out:]), held_out=rows.take(order[:held_out]))
