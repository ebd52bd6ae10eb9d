"""What the metrics page reads of a worker whenever it is asked: nobody counts these while records flow."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from stream_infer.clock import Clock
from stream_infer.metrics import Metrics, PartitionWatch, Reading, Readings
from stream_infer.model.lifecycle import State
from stream_infer.pipeline.run import Scorer
from stream_infer.records import Mark, Partition
from stream_infer.rollout.status import WorkerStatus
from stream_infer.transport.credit import Credit
from stream_infer.transport.feed import PumpState

MODEL_INFO: Final = ("model", "version", "digest")
MODEL_STATE: Final = ("model", "version", "state")


@dataclass(frozen=True, slots=True)
class Watched:
    """Where the values are; `scorer` and `status` return None before there is one."""

    credit: Credit
    state: PumpState
    clock: Clock
    scorer: Callable[[], Scorer | None]
    status: Callable[[], WorkerStatus | None]
    is_ready: Callable[[], bool]
    device_memory_bytes: Callable[[], int]

    def marks(self) -> Mapping[Partition, Mark]:
        """Return how the partitions stand that are owned."""
        scorer = self.scorer()
        return scorer.marks() if scorer else {}

    def held_records(self) -> int:
        """Return the records whose answers are held back."""
        scorer = self.scorer()
        return scorer.held_records if scorer else 0

    def is_stopped(self) -> bool:
        """Return whether nothing is scored until another revision serves."""
        scorer = self.scorer()
        return scorer is not None and scorer.stopped is not None

    def last_poll_s(self) -> float:
        """Return the wall-clock time of the last poll; 0 before the first."""
        polled_s = self.state.last_poll_s
        return 0.0 if polled_s is None else self.clock.wall_s() - (self.clock.monotonic_s() - polled_s)

    def model_info(self) -> Mapping[tuple[str, ...], float]:
        """Return 1 for each version that is here, under model, version and digest."""
        status = self.status()
        return {(status.model, one.version, one.digest or ""): 1 for one in status.versions} if status else {}

    def model_state(self) -> Mapping[tuple[str, ...], float]:
        """Return for each version and state whether it is in it."""
        status = self.status()
        if status is None:
            return {}
        states = {one.version: one.state for one in status.versions}
        model = status.model
        return {(model, version, one): float(one == now) for version, now in states.items() for one in State}

    def revision(self) -> Mapping[str, float]:
        """Return the revision that serves, by model; nothing while none does, as revision 0 is the settings' own."""
        status = self.status()
        serves = status is not None and any(one.state == State.ACTIVE for one in status.versions)
        return {status.model: status.applied_revision} if status and serves else {}

    def skew(self) -> Mapping[str, float]:
        """Return by model whether another version serves than the control topic names."""
        status = self.status()
        return {status.model: float(status.skew is not None)} if status else {}


def show(metrics: Metrics, watched: Watched) -> PartitionWatch:
    """Add everything that is read to the metrics; return the watch over partitions, which is to look now and then."""
    partitions = PartitionWatch(watched.clock, marks=watched.marks, ends=lambda: watched.state.ends)
    metrics.registry.register(partitions)
    metrics.registry.register(Readings(_table(watched)))
    return partitions


def _table(watched: Watched) -> tuple[Reading, ...]:
    return (*_traffic(watched), *_model(watched))


def _traffic(watched: Watched) -> tuple[Reading, ...]:
    credit, state = watched.credit, watched.state
    return (
        Reading("gauge", "queue_records", "Records between poll and produce.", lambda: credit.used_records),
        Reading("gauge", "queue_bytes", "Bytes between poll and produce.", lambda: credit.used_bytes),
        Reading("gauge", "assigned_partitions", "Partitions this worker owns.", lambda: len(state.assigned)),
        Reading("gauge", "last_poll_timestamp_seconds", "When Kafka was polled last.", watched.last_poll_s),
        Reading("counter", "positions_lost", "Positions lost to retention.", lambda: state.positions_lost),
        Reading("counter", "rebalances", "Changes of what is owned.", state.rebalances.copy, ("kind",)),
        Reading(
            "counter",
            "commits",
            "Commits of positions by the consumer; under exactly once positions are committed by transactions.",
            state.commits.copy,
            ("outcome",),
        ),
    )


def _model(watched: Watched) -> tuple[Reading, ...]:
    return (
        Reading("gauge", "held_back_records", "Records whose answers are held back.", watched.held_records),
        Reading("gauge", "stopped", "1 while too much is refused for anything to be scored.", watched.is_stopped),
        Reading("gauge", "ready", "1 when records are scored.", watched.is_ready),
        Reading("gauge", "device_memory_bytes", "Device memory of tensors.", watched.device_memory_bytes),
        Reading("gauge", "model_info", "1 for each version that is here.", watched.model_info, MODEL_INFO),
        Reading("gauge", "model_state", "1 for the state that a version is in.", watched.model_state, MODEL_STATE),
        Reading("gauge", "model_revision", "Revision of the desired state that serves.", watched.revision, ("model",)),
        Reading("gauge", "model_skew", "1 while another version serves than is wanted.", watched.skew, ("model",)),
    )
