"""An operator at work: reads the log and what the workers say, writes a word, waits for what comes of it."""

import getpass
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self, TypeVar

from stream_infer.clock import Clock
from stream_infer.errors import Retry, Stop
from stream_infer.model.repository import find_version
from stream_infer.rollout.campaign import Campaign, Phase, View, step
from stream_infer.rollout.fold import Counted, Entry, Folded, Outcome, Verdict, fold
from stream_infer.rollout.operate import Issued, with_baseline
from stream_infer.rollout.record import Desired, VersionRef, parse_desired, to_json
from stream_infer.rollout.status import WorkerStatus
from stream_infer.settings import Settings
from stream_infer.transport.clients import wait_for_broker
from stream_infer.transport.control import ControlReader, ControlWriter, check_control_topic
from stream_infer.transport.members import Members
from stream_infer.transport.status import StatusReader
from stream_infer.transport.topics import admin_for

LOOK_S: Final = 0.1
MEMBERS_S: Final = 1.0
READ_S: Final = 1.0
T = TypeVar("T")


class Outdone(Stop):
    """Somebody else wrote first: what was written does not count."""


@dataclass(frozen=True, slots=True)
class Told:
    """One record of the log that is about our model, and what became of it."""

    entry: Entry
    verdict: Verdict


class Operator:
    """Used as a `with` block; `say` is told of progress, a line each. Raises `Stop` where the topics are not right."""

    def __init__(self, settings: Settings, *, model: str, clock: Clock, say: Callable[[str], None]) -> None:
        wait_for_broker(settings)
        check_control_topic(admin_for(settings), settings)
        self._settings = settings
        self._clock = clock
        self._say = say
        self._writer: ControlWriter | None = None
        self._reader = ControlReader(settings)
        self._statuses = StatusReader(settings, model=model)
        self._members = Members(settings)
        self._live: frozenset[str] | None = None
        self._live_at_s = float("-inf")
        self._said: dict[str, str] = {}
        self.folded = Folded(model, settings.application_id)
        self.told: list[Told] = []

    def __enter__(self) -> Self:
        self.catch_up()
        self._patiently(self._statuses.read_to_end)
        self._live = self._patiently(self._members.live)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.close()
        self._statuses.close()

    @property
    def known(self) -> Folded:
        """Return the log as a word goes on from it: before the first record something serves already."""
        version = self._first_version()
        return self.folded if version is None else with_baseline(self.folded, VersionRef(version))

    def issued(self, reason: str | None) -> Issued:
        """Return who says a word now, and why."""
        now = datetime.fromtimestamp(self._clock.wall_s(), UTC)
        return Issued(now.isoformat(timespec="seconds"), f"{_user()}@{socket.gethostname()}", reason)

    def _first_version(self) -> str | None:
        """Return what serves before the first record: the workers know, and the settings when none runs."""
        said = self._statuses.latest.values()
        alive = (one for one in said if self._live is None or one.worker in self._live)
        for row in (row for one in alive if not one.applied_revision for row in one.versions):
            if row.variant == "stable":
                return row.version
        model = self._settings.model
        if self.folded.model != model.name:
            return None
        with suppress(Stop, Retry):
            return model.version or find_version(model.repository, model.name).version
        return None

    def look(self) -> View:
        """Return how things stand, after waiting a moment for news."""
        self._hear(self._reader.read(0.0))
        self._statuses.read(LOOK_S)
        now_s = self._clock.monotonic_s()
        if now_s - self._live_at_s >= MEMBERS_S:
            self._live_at_s = now_s
            with suppress(Retry):  # those of the last answer still count
                self._live = self._members.live()
        return View(self._live, dict(self._statuses.latest), self.folded, now_s)

    def news(self) -> list[WorkerStatus]:
        """Return what workers said since the last look, and hear what was written to the log."""
        self._hear(self._reader.read(0.0))
        return self._statuses.read(READ_S)

    def write(self, desired: Desired) -> int:
        """Append a state and return its offset; raises `Outdone`, naming who won, when it does not count."""
        value = to_json(desired)
        parse_desired(value, next_revision=desired.revision)
        self._writer = self._writer or ControlWriter(self._settings)
        offset = self._writer.append(value, key=desired.model.encode())
        self._read_log(offset + 1)
        if not any(counted.offset == offset for counted in self.folded.history):
            raise Outdone(f"Revision {desired.revision} came too late: {winner(self.folded.history[-1])} counts.")
        self._say(f"revision {desired.revision} is written, at offset {offset}")
        return offset

    def wait(self, campaign: Campaign) -> Campaign:
        """Wait until a campaign is over and return it; what each worker does is said whenever it changes."""
        while not campaign.is_over:
            view = self.look()
            campaign = step(campaign, view)
            self._show(campaign, view.now_s)
        return campaign

    def _show(self, campaign: Campaign, now_s: float) -> None:
        for sighting in campaign.sightings:
            if self._said.get(sighting.worker) != sighting.state:
                self._said[sighting.worker] = sighting.state
                self._say(sighting.line(now_s))

    def _patiently(self, ask: Callable[[], T]) -> T:
        """Return an answer, asking for it again while a broker is away; `Retry` passes after the time for the start."""
        until_s = self._clock.monotonic_s() + self._settings.kafka.startup_timeout_s
        while True:
            try:
                return ask()
            except Retry:
                if self._clock.monotonic_s() >= until_s:
                    raise
                self._statuses.read(READ_S)

    def catch_up(self) -> None:
        """Read the log to its end as of now."""
        self._read_log(self._patiently(self._reader.end_offset))

    def _read_log(self, end: int) -> None:
        limit_s = self._settings.kafka.startup_timeout_s
        until_s = self._clock.monotonic_s() + limit_s
        while self._reader.position < end:
            if self._clock.monotonic_s() >= until_s:
                raise Stop(
                    f"The control topic was read to offset {self._reader.position} only within {limit_s:g} s "
                    f"(kafka.startup_timeout_s), expected {end}: is every broker up?"
                )
            self._hear(self._reader.read(READ_S))

    def _hear(self, entries: list[Entry]) -> None:
        for entry in entries:
            self.folded, verdict = fold(self.folded, entry)
            if verdict.outcome is not Outcome.OTHER:
                self.told.append(Told(entry, verdict))


def arrived(campaign: Campaign) -> str:
    """Return one sentence about a campaign that ended well; raises `Stop` with its reason otherwise."""
    if campaign.phase is not Phase.DONE:
        raise Stop(f"{(campaign.reason or campaign.phase).rstrip('.')}.")
    return (
        f"revision {campaign.goal.revision} serves on every live worker ({len(campaign.sightings)}); "
        f"from the first to the last {1000 * (campaign.spread_s or 0):.0f} ms"
    )


def winner(counted: Counted) -> str:
    """Return what counts instead, and who said so."""
    desired = counted.desired
    return f"revision {desired.revision} by {desired.issued_by or 'somebody'}, at offset {counted.offset},"


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user id without a name, as in many containers
        return "unknown"
