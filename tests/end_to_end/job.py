"""One deployment of the worker: topics, model and settings file of its own, and what the checker reads of it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from stream_infer.testing.kafka import Topics
from stream_infer.testing.models import MadeVersion, write_mlp
from tests.checker.history import History, Observation, Place
from tests.checker.laws import check
from tests.checker.reading import Decode, read_dead_letters, read_events, read_predictions, read_retries, read_topic
from tests.checker.reference import Layer, MlpReference
from tests.checker.told import read_rollouts, read_statuses
from tests.checker.transactions import read_commits, read_written
from tests.end_to_end.along import reading_along
from tests.end_to_end.events import EVENT, PREDICTION, Sent, send
from tests.end_to_end.harness import Crew
from tests.end_to_end.watch import Watch

WIDTH = 8
CLASSES = 3
MODEL = "default"
FIRST = "1"
FOR_EVER = -1
Settings = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Job:
    """Names and files of one deployment; `references` are its model's versions in numpy.

    `baseline` is the version that serves until the control topic names one.
    """

    bootstrap_servers: str
    folder: Path
    application_id: str
    inputs: tuple[str, ...]
    output: str
    dead_letter: str
    control: str
    status: str
    retry: str
    references: dict[str, MlpReference]
    config: Path
    baseline: str = FIRST
    has_retry: bool = False

    @property
    def input(self) -> str:
        """Return the first input topic."""
        return self.inputs[0]

    @property
    def repository(self) -> Path:
        """Return where the model's versions are."""
        return self.folder / "models"

    def knows(self, made: MadeVersion) -> None:
        """Let the checker score what a version answers, which has the layers of an MLP."""
        self.references[made.where.version] = reference_of(made.module.state_dict())

    def send(self, records: Sequence[Sent], *, topic: str | None = None) -> None:
        """Send events to an input topic, the first unless named; all are delivered on return."""
        send(self.bootstrap_servers, topic or self.input, records)

    @contextmanager
    def crew(self) -> Iterator[Crew]:
        """Give an empty crew for the job; its workers are ended with the block."""
        answers = (self.output, self.dead_letter)
        watch = Watch(self.bootstrap_servers, group=self.application_id, inputs=self.inputs, outputs=answers)
        reading = reading_along(self.bootstrap_servers, answers) if self.is_exactly_once() else nullcontext(())
        with closing(watch), reading as along, Crew(watch, along, config=self.config, folder=self.folder) as crew:
            yield crew

    def history(
        self,
        observed: Sequence[Observation] = (),
        *,
        along: Sequence[Place] = (),
        events: Decode | None = None,
        predictions: Decode | None = None,
    ) -> History:
        """Return what the topics hold now; `observed` and `along` are what a watch and a reader saw meanwhile.

        Events and predictions are read as single-object Avro of the project's schemas unless told otherwise.
        """
        servers = self.bootstrap_servers
        decode = events or EVENT.decoder()
        read = History(
            events=[event for topic in self.inputs for event in read_events(read_topic(servers, topic), decode)],
            predictions=read_predictions(read_topic(servers, self.output), predictions or PREDICTION.decoder()),
            dead_letters=read_dead_letters(read_topic(servers, self.dead_letter)),
            observations=tuple(observed),
            rollouts=read_rollouts(read_topic(servers, self.control), model=MODEL, before=self.baseline),
            said=read_statuses(read_topic(servers, self.status)),
            retries=read_retries(read_topic(servers, self.retry)) if self.has_retry else (),
            along=along,
        )
        return self._with_transactions(read) if self.is_exactly_once() else read

    def is_exactly_once(self) -> bool:
        """Return what the settings promise."""
        written = yaml.safe_load(self.config.read_text(encoding="utf-8"))
        return bool(written["delivery"].get("processing_guarantee") == "exactly_once_v2")

    def assert_lawful(self, history: History) -> None:
        """Raise AssertionError with what the checker found, if anything: all that the settings' guarantee promises."""
        found = check(history, self.references, exactly_once=self.is_exactly_once())
        assert not found, "\n".join(f"{one.law}: {one.found}" for one in found)

    def _with_transactions(self, read: History) -> History:
        """Return a history with what became of transactions since, and who committed."""
        written = read_written(self.bootstrap_servers, self.output, self.dead_letter)
        return replace(read, written=written, commits=read_commits(self.bootstrap_servers, self.application_id))


@dataclass(frozen=True, slots=True)
class JobMaker:
    """Makes jobs of one test on one cluster; `cache` may keep what earlier tests found out about versions."""

    bootstrap_servers: str
    topics: Topics
    folder: Path
    cache: Path

    def __call__(
        self,
        *,
        partitions: int = 4,
        inputs: int = 1,
        hidden: Sequence[int] = (16,),
        versions: Mapping[str, int] | None = None,
        settings: Settings | None = None,
        manifest: Mapping[str, Any] | None = None,
        retry: bool = False,
    ) -> Job:
        """Make topics, model and settings; `settings` and `manifest` replace what is written by default.

        `versions` are the seeds of the versions to write, by name: by default there is version 1 of seed 0.
        There is a retry topic only with `retry`, so that the partitions that are shared out are those of the input.
        """
        baseline = (settings or {}).get("model", {}).get("version") or FIRST
        job = self._job(partitions, inputs, baseline=baseline, retry=retry)
        for version, seed in (versions or {FIRST: 0}).items():
            sizes = [WIDTH, *hidden, CLASSES]
            job.knows(write_mlp(job.repository, version=version, sizes=sizes, seed=seed, manifest=manifest))
        written = {section: {**values} for section, values in _settings(job, self.cache).items()}
        if versions:
            written["model"]["version"] = job.baseline
        for section, values in (settings or {}).items():
            written.setdefault(section, {}).update(values)
        job.config.write_text(yaml.safe_dump({"application_id": job.application_id, **written}), encoding="utf-8")
        return job

    def _job(self, partitions: int, inputs: int, *, baseline: str, retry: bool) -> Job:
        topics = self.topics
        return Job(
            bootstrap_servers=self.bootstrap_servers,
            folder=self.folder,
            application_id=topics.name("app"),
            inputs=tuple(topics.create("events", partitions) for _ in range(inputs)),
            output=topics.create("predictions", partitions),
            dead_letter=topics.create("dead", partitions),
            control=topics.create(
                "control", 1, cleanup_policy="delete", retention_ms=FOR_EVER, retention_bytes=FOR_EVER
            ),
            status=topics.create("status", 1),
            retry=topics.create("retry", partitions) if retry else topics.name("retry"),
            references={},
            config=self.folder / "stream-infer.yaml",
            baseline=baseline,
            has_retry=retry,
        )


def reference_of(weights: Mapping[str, Any]) -> MlpReference:
    """Return the numpy model with these weights: `0.weight`, `0.bias`, `2.weight`, ..."""
    arrays = {name: tensor.detach().numpy().astype("float64") for name, tensor in weights.items()}
    numbers = sorted({int(name.split(".")[0]) for name in arrays})
    return MlpReference(tuple(Layer(arrays[f"{number}.weight"], arrays[f"{number}.bias"]) for number in numbers))


def _settings(job: Job, cache: Path) -> Settings:
    return {
        "kafka": {
            "bootstrap_servers": job.bootstrap_servers,
            "startup_timeout_s": 30,
            # A killed worker must not hold its partitions for the default of 45 s.
            "consumer_properties": {"session.timeout.ms": 6000, "heartbeat.interval.ms": 1000},
        },
        "topics": {
            "input": list(job.inputs),
            "output": job.output,
            "dead_letter": job.dead_letter,
            "control": job.control,
            "status": job.status,
            "retry": job.retry,
        },
        "model": {"repository": "models", "device": "cpu", "cache_directory": str(cache)},
        "delivery": {"commit_interval_ms": 200},
        "log": {"format": "console"},
    }
