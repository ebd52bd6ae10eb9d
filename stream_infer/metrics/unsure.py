"""What was counted, and what still may be rolled back."""

from collections import Counter as Tally
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Totals:
    """Records and batches since the start."""

    answered: int = 0
    dead_lettered: int = 0
    skipped: int = 0
    batches: int = 0


@dataclass(slots=True)
class Unsure:
    """Answers that were handed over and may still be rolled back."""

    answered: int = 0
    skipped: int = 0
    refused: Tally[tuple[str, str]] = field(default_factory=Tally)
