"""What the loops and the stock worker share: the command line, how they are stopped, what they tell at the end."""

import json
import signal
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.page import Batches

THROUGHPUT = "throughput"
LATENCY = "latency"


@dataclass(frozen=True, slots=True)
class Asked:
    """The command line of a loop: BOOTSTRAP INPUT OUTPUT GROUP BATCH REPOSITORY TOLD PROFILE."""

    servers: str
    source: str
    output: str
    group: str
    batch: int
    repository: str
    told: Path
    profile: str

    @property
    def is_low_latency(self) -> bool:
        """Whether a batch is what is there, and nothing waits for more."""
        return self.profile == LATENCY


def asked() -> Asked:
    """Return what this process was asked for."""
    servers, source, output, group, batch, repository, told, profile = sys.argv[1:]
    if profile not in {THROUGHPUT, LATENCY}:
        raise SystemExit(f"the profile is {profile}, expected {THROUGHPUT} or {LATENCY}")
    return Asked(servers, source, output, group, int(batch), repository, Path(told), profile)


class Tally:
    """Counts batches, and ends the loop at SIGTERM: then it tells them in a file."""

    def __init__(self) -> None:
        self.batches = 0
        self.records = 0
        self.goes_on = True

    def until_terminated(self) -> None:
        """Let SIGTERM end the loop after the batch in hand."""
        signal.signal(signal.SIGTERM, lambda _number, _frame: self.end())

    def end(self) -> None:
        """Let the loop end after the batch in hand."""
        self.goes_on = False

    def count(self, records: int) -> None:
        """Count one batch."""
        self.batches += 1
        self.records += records

    def tell(self, path: Path) -> None:
        """Write what was counted."""
        path.write_text(json.dumps(asdict(Batches(self.batches, self.records))), encoding="utf-8")


def told(path: Path) -> Batches:
    """Return what a loop told. Raises FileNotFoundError when it did not end by itself."""
    return Batches(**json.loads(path.read_text(encoding="utf-8")))
