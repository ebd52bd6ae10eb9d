"""Following the desired state, with a loader and an engine that the test answers for."""

import json
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

import pytest

from stream_infer.errors import Drained, Stop
from stream_infer.model import LoadedVersion, load_version, open_device
from stream_infer.model.lifecycle import State
from stream_infer.model.serving import Serving
from stream_infer.rollout.fold import Entry
from stream_infer.rollout.follow import RETRY_S, Follower
from stream_infer.rollout.ports import Loaded, LoadEvent, LoadFailed, LoadJob, Origins, Stage
from stream_infer.rollout.record import VersionRef
from stream_infer.testing.clock import HandClock
from stream_infer.testing.models import write_mlp

KEEP_S = 300.0


@dataclass(slots=True)
class HandLoader:
    """Loads when the test says so; `settled` are the versions whose load was said to be survived."""

    loaded: LoadedVersion
    jobs: list[LoadJob] = field(default_factory=list)
    settled: list[str] = field(default_factory=list)
    cancelled: int = 0
    _tell: Callable[[LoadEvent], None] = print

    def start(self, job: LoadJob, tell: Callable[[LoadEvent], None]) -> None:
        self.jobs.append(job)
        self._tell = tell

    def cancel(self) -> None:
        self.cancelled += 1

    def verify(self) -> None:
        job = self.jobs[-1]
        self._tell(Stage(job, State.VERIFYING, f"digest of {job.ref.version}"))
        self._tell(Stage(job, State.LOADING))

    def finish(self, job: LoadJob | None = None) -> LoadedVersion:
        job = job or self.jobs[-1]
        name = job.ref.version
        version = replace(self.loaded, version=name, digest=f"digest of {name}")
        self._tell(Loaded(job, version, lambda: self.settled.append(name)))
        return version

    def fail(self, reason: str, *, may_pass: bool = False) -> None:
        self._tell(LoadFailed(self.jobs[-1], reason, may_pass))


@dataclass(slots=True)
class HandEngine:
    """Does at once what it is asked; with `answers` set to False the test completes the futures."""

    answers: bool = True
    served: list[Serving] = field(default_factory=list)
    warmed: list[str] = field(default_factory=list)
    released: list[str] = field(default_factory=list)
    open: list["Future[None]"] = field(default_factory=list)

    def warm(self, version: LoadedVersion) -> "Future[None]":
        self.warmed.append(version.version)
        return self._answer()

    def serve(self, serving: Serving) -> "Future[None]":
        self.served.append(serving)
        return self._answer()

    def release(self, version: LoadedVersion) -> "Future[None]":
        self.released.append(version.version)
        return self._answer()

    def _answer(self) -> "Future[None]":
        future: Future[None] = Future()
        if self.answers:
            future.set_result(None)
        else:
            self.open.append(future)
        return future


class Ground:
    """A follower, and short ways to tell it things."""

    def __init__(self, loaded: LoadedVersion, *, baseline: str | None = "1") -> None:
        self.loader = HandLoader(loaded)
        self.engine = HandEngine()
        self.clock = HandClock(now_s=1_000.0)
        self._baseline = baseline
        self.follower = Follower(
            Origins("fraud", "app", self._settings_name),
            loader=self.loader,
            engine=self.engine,
            clock=self.clock,
            keep_previous_s=KEEP_S,
        )
        self._offset = 0

    def _settings_name(self) -> VersionRef:
        if self._baseline is None:
            raise Stop("the settings name no version")
        return VersionRef(self._baseline)

    def write(self, stable: str, **more: object) -> None:
        value = {"model": "fraud", "stable": {"version": stable}, **more}
        self.follower.hear([Entry(self._offset, b"fraud", json.dumps(value).encode(), 0)])
        self._offset += 1

    def turn(self, times: int = 4) -> None:
        for _ in range(times):
            self.follower.turn()
            self.follower.table.sweep()

    def load(self) -> None:
        """Let the load under way end well."""
        self.turn()
        self.loader.verify()
        self.loader.finish()
        self.turn()

    def states(self) -> dict[str, State]:
        return {row.holding.ref.version: row.state for row in self.follower.table}

    @property
    def serves(self) -> tuple[str, int]:
        serving = self.engine.served[-1]
        return serving.stable.version, serving.revision


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> LoadedVersion:
    made = write_mlp(tmp_path_factory.mktemp("models"), sizes=(4, 8, 2))
    return load_version(made.path, device=open_device("cpu"), batch_size=8)


@pytest.fixture
def ground(loaded: LoadedVersion) -> Ground:
    """Serving version 1, which the settings name."""
    made = Ground(loaded)
    made.load()
    assert made.serves == ("1", 0)
    return made


def test_a_new_version_is_loaded_warmed_and_then_serves_under_its_revision(ground: Ground) -> None:
    ground.write("2")
    ground.turn()
    assert ground.serves == ("1", 0)
    assert not ground.follower.is_in_step()
    ground.load()
    assert ground.serves == ("2", 1)
    assert ground.states() == {"1": State.RETIRING, "2": State.ACTIVE}
    assert ground.loader.settled == ["1", "2"]
    assert ground.follower.is_in_step()


def test_a_failed_load_leaves_what_serves_alone_and_says_why(ground: Ground) -> None:
    ground.write("2")
    ground.turn()
    ground.loader.fail("its digest is wrong")
    ground.turn()
    assert ground.serves[0] == "1"
    assert ground.states() == {"1": State.ACTIVE, "2": State.FAILED}
    assert ground.follower.is_in_step()
    assert "its digest is wrong" in (ground.follower.skew or "")


def test_a_failed_version_is_tried_again_under_a_newer_revision_only(ground: Ground) -> None:
    ground.write("2")
    ground.turn()
    ground.loader.fail("the disk was full")
    ground.turn(10)
    assert len(ground.loader.jobs) == 2
    ground.write("2")
    ground.load()
    assert ground.serves == ("2", 2)


def test_a_newer_state_supersedes_a_load_in_flight_and_what_that_still_tells_is_let_go(ground: Ground) -> None:
    ground.write("2")
    ground.turn()
    superseded = ground.loader.jobs[-1]
    ground.write("3")
    ground.turn()
    assert ground.loader.cancelled == 1
    ground.loader.finish(superseded)
    ground.load()
    assert ground.serves == ("3", 2)
    assert ground.engine.released == ["2"]
    assert "2" not in ground.states()


def test_the_version_before_is_kept_for_a_while_and_rolling_back_needs_no_load(ground: Ground) -> None:
    ground.write("2")
    ground.load()
    ground.clock.now_s += KEEP_S / 2
    ground.turn()
    ground.write("1")
    ground.turn()
    assert ground.serves == ("1", 2)
    assert [job.ref.version for job in ground.loader.jobs] == ["1", "2"]


def test_after_that_while_its_memory_is_given_back(ground: Ground) -> None:
    ground.write("2")
    ground.load()
    ground.clock.now_s += KEEP_S - 1
    ground.turn()
    assert ground.engine.released == []
    ground.clock.now_s += 2
    ground.turn()
    assert ground.engine.released == ["1"]
    assert ground.states() == {"2": State.ACTIVE}


def test_a_prepared_version_is_ready_and_does_not_serve(ground: Ground) -> None:
    ground.write("1", prepared=[{"version": "2"}])
    ground.load()
    assert ground.states() == {"1": State.ACTIVE, "2": State.READY}
    assert ground.serves == ("1", 1)
    ground.write("2")
    ground.turn()
    assert ground.serves == ("2", 2)


def test_a_withdrawn_version_is_let_go(ground: Ground) -> None:
    ground.write("1", prepared=[{"version": "2"}])
    ground.load()
    ground.write("1")
    ground.turn()
    assert ground.engine.released == ["2"]
    assert ground.states() == {"1": State.ACTIVE}


def test_a_canary_serves_beside_stable_until_it_trips(ground: Ground) -> None:
    limits = {"max_error_ratio": 0.1, "window_s": 60, "min_records": 10}
    ground.write("1", canary={"version": "2", "percent": 20, "limits": limits})
    ground.load()
    serving = ground.engine.served[-1]
    assert (serving.stable.version, serving.canary and serving.canary.version) == ("1", "2")
    assert serving.guard is not None
    reason = serving.guard.note(1_000.0, records=20, errors=5, non_finite=0)
    assert reason
    ground.turn()
    assert ground.engine.served[-1].canary is None
    assert ground.follower.tripped is not None
    assert ground.follower.tripped.reason == reason
    assert ground.serves == ("1", 1)


def test_the_same_canary_serves_again_under_a_newer_revision(ground: Ground) -> None:
    ground.write("1", canary={"version": "2", "percent": 20})
    ground.load()
    guard = ground.engine.served[-1].guard
    assert guard is not None
    guard.fail("it failed on a whole batch")
    ground.turn()
    ground.write("1", canary={"version": "2", "percent": 10})
    ground.turn()
    assert ground.engine.served[-1].canary is not None


def test_a_newer_revision_that_says_the_same_of_a_stopped_canary_leaves_it_stopped(ground: Ground) -> None:
    canary = {"version": "2", "percent": 20, "seed": "s"}
    ground.write("1", canary=canary)
    ground.load()
    guard = ground.engine.served[-1].guard
    assert guard is not None
    guard.fail("it failed on a whole batch")
    ground.turn()
    ground.write("1", canary=canary, prepared=[{"version": "3"}])
    ground.load()
    assert ground.engine.served[-1].canary is None
    assert ground.follower.tripped is not None
    ground.write("1", canary={**canary, "percent": 30})
    ground.turn()
    assert ground.engine.served[-1].canary is not None
    assert ground.follower.tripped is None


def test_at_a_start_the_newest_revision_is_loaded_and_no_earlier_one(loaded: LoadedVersion) -> None:
    ground = Ground(loaded)
    ground.write("2")
    ground.write("3")
    ground.load()
    assert [job.ref.version for job in ground.loader.jobs] == ["3"]
    assert ground.serves == ("3", 2)


def test_at_a_start_a_version_that_fails_is_replaced_by_the_newest_earlier_one_that_does_not(
    loaded: LoadedVersion,
) -> None:
    ground = Ground(loaded)
    for version in ("2", "3", "4"):
        ground.write(version)
    for _ in range(2):
        ground.turn()
        ground.loader.fail("it is broken")
    ground.load()
    assert ground.serves == ("2", 1)
    assert ground.follower.is_in_step()
    assert ground.follower.skew is not None
    ground.write("5")
    ground.load()
    assert ground.serves == ("5", 4)


def test_at_a_start_without_any_record_a_version_that_fails_ends_the_worker(loaded: LoadedVersion) -> None:
    ground = Ground(loaded)
    ground.turn()
    ground.loader.fail("model.yaml has no inputs")
    with pytest.raises(Stop, match=r"model\.yaml has no inputs"):
        ground.turn()


def test_at_a_start_with_nothing_that_loads_the_worker_waits_for_a_newer_revision(loaded: LoadedVersion) -> None:
    ground = Ground(loaded, baseline=None)
    ground.write("2")
    ground.turn()
    ground.loader.fail("it is broken")
    ground.turn()
    assert ground.engine.served == []
    assert not ground.follower.is_in_step()
    ground.write("3")
    ground.load()
    assert ground.serves == ("3", 2)


@pytest.mark.parametrize("revisions", [[], ["2"], ["2", "3"]])
def test_at_a_start_what_is_away_is_tried_again_until_something_serves(
    loaded: LoadedVersion, revisions: list[str]
) -> None:
    ground = Ground(loaded)
    for version in revisions:
        ground.write(version)
    for _ in range(5):
        ground.turn()
        ground.loader.fail("the repository is away", may_pass=True)
        ground.turn()
        ground.clock.now_s += RETRY_S
    ground.load()
    assert len(ground.engine.served) == 1
    assert ground.serves[0] in {"1", *revisions}


def test_what_is_away_beside_a_version_that_serves_waits_for_a_newer_revision(ground: Ground) -> None:
    ground.write("2")
    ground.turn()
    ground.loader.fail("the repository is away", may_pass=True)
    ground.clock.now_s += 10 * RETRY_S
    ground.turn()
    assert ground.states()["2"] is State.FAILED
    assert [job.ref.version for job in ground.loader.jobs] == ["1", "2"]


def test_a_version_is_compared_with_what_serves_when_the_log_named_that_last(ground: Ground) -> None:
    for version in ("2", "3"):
        ground.write(version)
        ground.load()
    against = [job.against.version if job.against else None for job in ground.loader.jobs]
    assert against == [None, "1", "2"]


def test_a_version_is_compared_with_what_the_log_named_when_something_else_serves(ground: Ground) -> None:
    ground.write("2", allow_output_change=True)
    ground.turn()
    ground.loader.fail("it is broken")
    ground.write("3")
    ground.turn()
    job = ground.loader.jobs[-1]
    assert (job.against, [ref.version for ref in job.before]) == (None, ["2"])
    assert job.is_beside_live


def test_a_version_that_was_let_differ_once_needs_no_leave_in_later_records(loaded: LoadedVersion) -> None:
    ground = Ground(loaded)
    ground.write("2", canary={"version": "3", "percent": 1}, allow_output_change=True)
    ground.write("2", canary={"version": "3", "percent": 5})
    ground.load()
    ground.turn()
    assert [(job.ref.version, job.allow_output_change) for job in ground.loader.jobs] == [("2", True), ("3", True)]


def test_a_worker_that_ends_says_nothing_against_the_version_it_warms(loaded: LoadedVersion) -> None:
    ground = Ground(loaded)
    ground.load()
    ground.engine.answers = False
    ground.write("2")
    ground.load()
    ground.engine.open[-1].set_exception(Drained("the worker has drained"))
    ground.turn()
    assert State.FAILED not in ground.states().values()
    assert ground.loader.settled[-1] == "2"


def test_a_trip_that_is_told_when_another_canary_serves_does_not_stop_that(ground: Ground) -> None:
    ground.write("1", canary={"version": "2", "percent": 20})
    ground.load()
    ground.turn()
    old = ground.engine.served[-1].guard
    ground.write("1", canary={"version": "3", "percent": 20})
    ground.load()
    ground.turn()
    assert old is not None
    old.fail("it failed on a whole batch")
    ground.turn()
    assert ground.follower.tripped is None
    assert ground.engine.served[-1].canary is not None


def test_how_changes_ended_is_counted(ground: Ground) -> None:
    ground.write("2")
    ground.turn()
    ground.loader.fail("it is broken")
    ground.turn()
    assert ground.follower.ends == {"served": 1, "failed": 1}


def test_a_version_that_fails_while_it_is_warmed_has_failed(loaded: LoadedVersion) -> None:
    ground = Ground(loaded)
    ground.load()
    ground.engine.answers = False
    ground.write("2")
    ground.load()
    ground.engine.open[-1].set_exception(RuntimeError("the device is full"))
    ground.turn()
    assert ground.states()["2"] is State.FAILED
    assert ground.loader.settled[-1] == "2"


def test_records_that_do_not_count_change_nothing_and_are_remembered(ground: Ground) -> None:
    ground.write("2", revision=5)
    ground.load()
    ground.write("3", revision=5)
    ground.write("4", requires=["telepathy"])
    ground.turn()
    assert ground.serves == ("2", 5)
    assert [sentence.split(":")[0] for sentence in ground.follower.refusals] == ["offset 1", "offset 2"]
