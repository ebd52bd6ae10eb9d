"""An operator's workplace: topics, a repository and the command; and workers that are played, without a model."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer

from stream_infer.rollout.fold import Folded, fold
from stream_infer.rollout.record import Desired
from stream_infer.rollout.status import VersionStatus, WorkerStatus
from stream_infer.settings import Settings, load_settings
from stream_infer.testing.kafka import Cluster, Topics
from stream_infer.testing.models import MadeVersion, write_mlp
from stream_infer.transport.control import ControlReader, ControlWriter
from stream_infer.transport.status import StatusWriter
from stream_infer.transport.topics import CONTROL_CONFIG
from tests.cli.running import WITHIN_S, Done, Running, begin

MODEL = "default"
AT = "2026-01-01T00:00:00+00:00"
TURN_S = 0.05


@dataclass(frozen=True, slots=True)
class Shop:
    """Settings of one application, and the versions 1, 2 and 3 in its repository."""

    settings: Settings
    flags: tuple[str, ...]
    made: Mapping[str, MadeVersion]
    folder: Path

    def begin(self, *words: str, group: str = "rollout") -> Running:
        """Start `stream-infer rollout ...`; of options given twice the last counts."""
        return begin((group, words[0], *self.flags, *words[1:]), folder=self.folder)

    def run(self, *words: str, ends: int = 0, group: str = "rollout") -> Done:
        """Run it to its end, which must be with the code `ends`."""
        return self.end(self.begin(*words, group=group), ends=ends)

    def end(self, running: Running, *, ends: int = 0) -> Done:
        """Wait for a command that was begun."""
        done = running.end()
        assert done.code == ends, f"it ended with {done.code}: {done.out}\n{done.err}"
        assert "Traceback" not in done.err
        return done

    def append(self, value: bytes) -> int:
        """Append a control record as it is."""
        return ControlWriter(self.settings).append(value, key=MODEL.encode())

    def log(self) -> list[Desired]:
        """Return the states that counted, oldest first."""
        folded = Folded(MODEL, self.settings.application_id)
        with closing(ControlReader(self.settings)) as reader:
            end = reader.end_offset()
            while reader.position < end:
                for entry in reader.read(TURN_S):
                    folded, _ = fold(folded, entry)
        return [one.desired for one in folded.history]

    def until(self, condition: Callable[[list[Desired]], bool]) -> None:
        """Return when a condition on the log holds."""
        while not condition(self.log()):
            pass

    @contextmanager
    def crew(self, *workers: "Worker") -> Iterator[None]:
        """Let workers live while the block runs: they are members of the group from its beginning on."""
        with ExitStack() as stack:
            for worker in workers:
                stack.enter_context(worker.living(self.settings))
            for worker in workers:
                assert worker.joined.wait(WITHIN_S), f"{worker.name} did not join"
            yield


@dataclass(slots=True)
class Worker:
    """A member of the group that follows the log and says at once what becomes of each version.

    `baseline` serves before the first record; `fails` are versions that it cannot load, with the reason; `stuck` those
    that it loads for ever; `trips` those that it stops as canary, with the reason.
    """

    name: str
    baseline: str = "1"
    fails: Mapping[str, str] = field(default_factory=dict)
    stuck: frozenset[str] = frozenset()
    trips: Mapping[str, str] = field(default_factory=dict)
    stopping: threading.Event = field(default_factory=threading.Event)
    joined: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def living(self, settings: Settings) -> Iterator[None]:
        """Follow the log on a thread while the block runs; `joined` is set once it is in the group."""
        thread = threading.Thread(target=self._live, args=(settings,))
        thread.start()
        try:
            yield
        finally:
            self.stopping.set()
            thread.join()

    def status(self, folded: Folded, settings: Settings) -> WorkerStatus:
        """Return what it says under a log."""
        desired = folded.current
        canary = desired.canary if desired else None
        tripped = self.trips.get(canary.ref.version) if canary else None
        return WorkerStatus(
            application_id=settings.application_id,
            model=MODEL,
            worker=self.name,
            applied_revision=self._applied(folded),
            versions=tuple(self._rows(desired, tripped=tripped))
            if desired
            else (_row(self.baseline, "ACTIVE", "stable"),),
            tripped=tripped,
            at=AT,
        )

    def _applied(self, folded: Folded) -> int:
        loadable = (one.desired for one in reversed(folded.history) if self._loads(one.desired.stable.version))
        return next((one.revision for one in loadable), 0)

    def _loads(self, version: str) -> bool:
        return version not in self.fails and version not in self.stuck

    def _rows(self, desired: Desired, *, tripped: str | None) -> Iterator[VersionStatus]:
        yield self._said(desired.stable.version, "ACTIVE", "stable", digest=desired.stable.sha256)
        if desired.canary is not None and tripped is None:
            yield self._said(desired.canary.ref.version, "ACTIVE", "canary", digest=desired.canary.ref.sha256)
        for ref in desired.prepared:
            yield self._said(ref.version, "READY", None, digest=ref.sha256)

    def _said(self, version: str, state: str, variant: str | None, *, digest: str | None) -> VersionStatus:
        if version in self.fails:
            return _row(version, "FAILED", None, digest=digest, reason=self.fails[version])
        if version in self.stuck:
            return _row(version, "LOADING", None, digest=digest)
        return _row(version, state, variant, digest=digest)

    def _live(self, settings: Settings) -> None:
        folded, said = Folded(MODEL, settings.application_id), -1
        writer = StatusWriter(settings)
        with closing(ControlReader(settings)) as reader, closing(self._member(settings)) as member, closing(writer):
            member.subscribe([settings.topics.input[0]])
            while not self.stopping.is_set():
                for entry in reader.read(TURN_S):
                    folded, _ = fold(folded, entry)
                if folded.revision != said:
                    said = folded.revision
                    writer.write(self.status(folded, settings))
                member.poll(0)
                if member.assignment():
                    self.joined.set()

    def _member(self, settings: Settings) -> Consumer:
        return Consumer(
            {
                "bootstrap.servers": settings.kafka.bootstrap_servers,
                "group.id": settings.application_id,
                "client.id": self.name,
                "partition.assignment.strategy": "cooperative-sticky",
                "heartbeat.interval.ms": 200,  # so that who joins later does not wait long
            }
        )


def _row(version: str, state: str, variant: str | None, **more: Any) -> VersionStatus:
    return VersionStatus(
        version=version,
        digest=more.get("digest"),
        variant=variant,
        state=state,
        reason=more.get("reason"),
        since=AT,
    )


def open_shop(kafka: Cluster, topics: Topics, folder: Path) -> Shop:
    """Return a shop with topics of its own; the settings' version is 1."""
    kept = {name.replace(".", "_"): value for name, value in CONTROL_CONFIG.items()}
    repository = folder / "models"
    sets = {
        "kafka.bootstrap_servers": kafka.bootstrap_servers,
        "application_id": topics.name("application"),
        "topics.input": topics.create("input", 4),
        "topics.output": topics.create("output", 1),
        "topics.control": topics.create("control", 1, **kept),
        "topics.status": topics.create("status", 1),
        "model.repository": str(repository),
        "model.cache_directory": str(folder / "cache"),
        "model.version": "1",
    }
    options = [f"{name}={value}" for name, value in sets.items()]
    made = {
        version: write_mlp(repository, version=version, sizes=(4, 8, 2), seed=int(version), format="safetensors")
        for version in ("1", "2", "3")
    }
    flags = tuple(part for option in options for part in ("--set", option))
    return Shop(load_settings(None, options, {}), flags, made, folder)
