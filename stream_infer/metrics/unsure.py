"""What was counted, and what still may be rolled back."""

from collections import Counter as Tally
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stream_infer.metrics.scores import Said


@dataclass(frozen=True, slots=True)
class Totals:
    """Records and batches since the start."""

    answered: int = 0
    dead_lettered: int = 0
    skipped: int = 0
    batches: int = 0


@dataclass(slots=True)
class Unsure:
    """Answers that were handed over and may still be rolled back; of each batch its timestamps and what was said."""

    answered: int = 0
    skipped: int = 0
    stamps_ms: list[NDArray[np.int64]] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    refused: Tally[tuple[str, str]] = field(default_factory=Tally)
