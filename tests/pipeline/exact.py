"""A scorer that answers exactly once, which owns one partition, and short ways to let it score and commit."""

from pathlib import Path
from typing import Final

from stream_infer.model import LoadedVersion
from stream_infer.pipeline import inbox as told
from stream_infer.records import Assigned, Partition
from tests.pipeline.scored import TOPIC, Ground

FIRST: Final = Partition(TOPIC, 0)
MEMBERSHIP: Final = object()


def owned(model: Path | LoadedVersion) -> Ground:
    """Own one partition, from its first offset on."""
    made = Ground(model, exactly_once=True)
    made.inbox.put(told.Begin([Assigned(FIRST, 1, 0, committed=True)]))
    return made


def score(ground: Ground, *, offset: int = 0, epoch: int = 1) -> None:
    """Let two records be scored."""
    ground.poll([ground.value(1.0), ground.value(2.0)], offset=offset, epoch=epoch)
    ground.turn(2)


def commit(ground: Ground) -> None:
    """Let the interval pass, with a membership at hand."""
    ground.inbox.put(told.Member(MEMBERSHIP))
    ground.turn(3, after_s=1.0)
