"""One version from where it lies to the compute thread's door, on a thread of its own."""

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Final

from stream_infer.avro import AvroSchema
from stream_infer.clock import Clock
from stream_infer.errors import Retry, Stop, StreamInferError
from stream_infer.logs import Repeated
from stream_infer.model import LoadedVersion, VersionDirectory, load_version, open_device
from stream_infer.model.attempts import Attempt, Attempts
from stream_infer.model.fetch import Origin, fetch_version
from stream_infer.model.lifecycle import State
from stream_infer.model.manifest import MANIFEST_NAME, digest_of, parse_manifest, read_manifest_bytes
from stream_infer.model.sources.prune import prune
from stream_infer.model.version import Facts
from stream_infer.pipeline.calls import CallWatch
from stream_infer.rollout.contract import Meaning
from stream_infer.rollout.ports import Loaded, LoadEvent, LoadFailed, LoadJob, Stage
from stream_infer.settings import Settings
from stream_infer.verifying import Verifier, meaning_of

log = logging.getLogger(__name__)
repeated = Repeated(log)

MOST_CRASHES: Final = 2
FORGIVEN_S: Final = 1800.0
"""How long crashes count against the version that the settings name: nothing else can serve in its place."""
RETRY_FIRST_S: Final = 0.5
RETRY_LAST_S: Final = 10.0
JOIN_TIMEOUT_S: Final = 5.0
SWITCH_INTERVAL_S: Final = 0.0001
"""How long a load may keep the interpreter from the threads of the data path, at a time."""


@dataclass(frozen=True, slots=True, eq=False)
class _Order:
    job: LoadJob
    tell: Callable[[LoadEvent], None]
    cancelled: threading.Event

    @property
    def fields(self) -> dict[str, object]:
        """What a line of the log says of it."""
        return {"revision": self.job.revision, "version": self.job.ref.version}


class VersionLoader:
    """Fetches, checks, tries and deserialises versions, one after the other; see `rollout.ports.Loader`."""

    def __init__(self, settings: Settings, *, reader: AvroSchema, clock: Clock) -> None:
        self._settings = settings
        self._verifier = Verifier(settings, reader)
        self._clock = clock
        self._watch = CallWatch(clock)
        self._attempts = Attempts(settings.model.cache_directory / "attempts", clock=clock)
        self._device = open_device(settings.model.device)
        self._orders: SimpleQueue[_Order | None] = SimpleQueue()
        self._under_way: _Order | None = None
        self._attempt: Attempt | None = None
        self._thread = threading.Thread(target=self._run, name="stream-infer-loader", daemon=True)
        self._thread.start()

    def start(self, job: LoadJob, tell: Callable[[LoadEvent], None]) -> None:
        """Load, and tell what happens, on the loader's thread."""
        self._under_way = _Order(job, tell, threading.Event())
        self._orders.put(self._under_way)

    def cancel(self) -> None:
        """Give up the load under way, soon."""
        if self._under_way is not None:
            self._under_way.cancelled.set()

    @property
    def calling_since_s(self) -> float | None:
        """Monotonic time at which a version's own code began to load it in this process, None while none does."""
        return self._watch.calling_since_s

    def device_memory_bytes(self) -> int:
        """Return the memory that models take on the device; on a processor 0, where it is the process's own."""
        return self._device.used_memory_bytes() or 0

    def close(self, *, blame: bool) -> None:
        """Give up everything and wait a moment for the thread.

        With `blame` a load under way is what ends the process, and counts against its version; otherwise whoever ends
        on purpose in the middle of a load was not ended by it.
        """
        self.cancel()
        self._orders.put(None)
        if blame:
            return
        self._thread.join(JOIN_TIMEOUT_S)
        if self._attempt is not None:
            self._attempt.end()

    def _run(self) -> None:
        while (order := self._orders.get()) is not None:
            if order.cancelled.is_set():
                continue
            try:
                order.tell(self._load(order))
            except StreamInferError as reason:
                order.tell(LoadFailed(order.job, str(reason), may_pass=isinstance(reason, Retry)))
            except BaseException as error:  # a version's code may raise anything, and the next one is to be loaded too
                log.exception("version %s cannot be loaded", order.job.ref.version, extra=order.fields)
                order.tell(LoadFailed(order.job, f"{type(error).__name__}: {error}"))

    def _load(self, order: _Order) -> Loaded:
        job = order.job
        found = self._fetch(order)
        content = read_manifest_bytes(found.path)
        digest = digest_of(content)
        order.tell(Stage(job, State.VERIFYING, digest))
        manifest = parse_manifest(content, source=str(found.path / MANIFEST_NAME))
        self._refuse_crasher(job, digest)
        facts = self._verifier.verify(
            found, manifest, digest=digest, against=self._against(job), cancelled=order.cancelled.is_set
        )
        self._refuse_too_large(job, facts)
        order.tell(Stage(job, State.LOADING, digest))
        self._attempt = attempt = self._attempts.begin(job.revision, digest)
        try:
            version = self._deserialise(found, facts, digest=digest, is_live=job.is_beside_live)
        except BaseException:
            attempt.end()
            raise
        prune(self._settings.model.cache_directory, keep=[found.path], now_s=self._clock.wall_s())
        return Loaded(job, version, attempt.end)

    def _fetch(self, order: _Order) -> VersionDirectory:
        """Bring the version to this machine; while its source is away try again until `load_timeout_s` has passed."""
        deadline_s = self._clock.monotonic_s() + self._settings.model.load_timeout_s
        pause_s = RETRY_FIRST_S
        while True:
            try:
                return self._fetch_once(order)
            except Retry as reason:
                if order.cancelled.is_set() or self._clock.monotonic_s() + pause_s > deadline_s:
                    raise
                text, version = "version %s is tried again in %.1f s: %s", order.job.ref.version
                repeated.warning(text, version, pause_s, reason, each=version, extra=order.fields)
            order.cancelled.wait(pause_s)
            pause_s = min(2 * pause_s, RETRY_LAST_S)

    def _fetch_once(self, order: _Order) -> VersionDirectory:
        model, ref = self._settings.model, order.job.ref
        origin = Origin(
            repository=model.repository,
            uri=ref.uri,
            sha256=ref.sha256,
            size_bytes=ref.size_bytes,
            allowed_uri_prefixes=model.allowed_uri_prefixes,
        )
        return fetch_version(
            model.name, ref.version, origin=origin, cache=model.cache_directory, cancelled=order.cancelled.is_set
        )

    def _refuse_crasher(self, job: LoadJob, digest: str) -> None:
        is_named_by_settings = job.revision == 0
        within_s = FORGIVEN_S if is_named_by_settings else None
        crashes = self._attempts.crashes(job.revision, digest, within_s=within_s)
        if crashes < MOST_CRASHES:
            return
        how = (
            f"for {FORGIVEN_S / 60:g} minutes, or until {self._attempts.marks(job.revision, digest)} are removed"
            if is_named_by_settings
            else "until a new revision names it"
        )
        raise Stop(
            f"loading version {job.ref.version} ended a worker's process {crashes} times under revision "
            f"{job.revision}: it is not tried again {how}"
        )

    def _against(self, job: LoadJob) -> Meaning | None:
        """Return what the version's answers must mean; None where nothing answered before or they may differ."""
        if job.allow_output_change:
            return None
        return meaning_of(job.against) if job.against is not None else self._verifier.accepted(job.before)

    def _refuse_too_large(self, job: LoadJob, facts: Facts) -> None:
        """Raise `Stop` unless the device has room for the version beside what it holds, and the reserve."""
        has = self._device.free_memory_bytes()
        needs = facts.peak_memory_bytes + self._settings.model.device_memory_reserve_bytes
        if has is not None and needs > has:
            raise Stop(
                f"version {job.ref.version} needs {needs} bytes of device memory, "
                f"model.device_memory_reserve_bytes included, and {has} are free"
            )

    def _deserialise(self, found: VersionDirectory, facts: Facts, *, digest: str, is_live: bool) -> LoadedVersion:
        with self._watch.calling(), _sharing_the_interpreter() if is_live else nullcontext():
            version = load_version(
                found,
                device=self._device,
                batch_size=self._settings.batching.max_batch_size,
                allow_code_formats=self._settings.model.allow_code_formats,
                facts=facts,
            )
        if version.digest != digest:
            raise Stop(f"model.yaml in {found.path} changed while it was loaded: its sha256 is {version.digest}")
        return version


@contextmanager
def _sharing_the_interpreter() -> Iterator[None]:
    """Hand the interpreter over often while a load runs beside a live version."""
    usual_s = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    try:
        yield
    finally:
        sys.setswitchinterval(usual_s)
