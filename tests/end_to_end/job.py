"""One deployment of the worker: topics, model and settings file of its own, and what the checker reads of it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from stream_infer.testing.kafka import Topics
from stream_infer.testing.models import write_mlp
from tests.checker.history import History, Observation
from tests.checker.laws import check
from tests.checker.reading import Decode, read_dead_letters, read_events, read_predictions, read_topic
from tests.checker.reference import Layer, MlpReference
from tests.end_to_end.events import EVENT, PREDICTION, Sent, send
from tests.end_to_end.harness import Crew
from tests.end_to_end.watch import Watch

WIDTH = 8
CLASSES = 3
Settings = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Job:
    """Names and files of one deployment; `reference` is its model in numpy."""

    bootstrap_servers: str
    folder: Path
    application_id: str
    inputs: tuple[str, ...]
    output: str
    dead_letter: str
    reference: MlpReference
    config: Path

    @property
    def input(self) -> str:
        """Return the first input topic."""
        return self.inputs[0]

    def send(self, records: Sequence[Sent], *, topic: str | None = None) -> None:
        """Send events to an input topic, the first unless named; all are delivered on return."""
        send(self.bootstrap_servers, topic or self.input, records)

    @contextmanager
    def crew(self) -> Iterator[Crew]:
        """Give an empty crew for the job; its workers are ended with the block."""
        answers = (self.output, self.dead_letter)
        watch = Watch(self.bootstrap_servers, group=self.application_id, inputs=self.inputs, outputs=answers)
        with closing(watch), Crew(watch, config=self.config, folder=self.folder) as crew:
            yield crew

    def history(
        self,
        observed: Sequence[Observation] = (),
        *,
        events: Decode | None = None,
        predictions: Decode | None = None,
    ) -> History:
        """Return what the topics hold now; `observed` is what a watch saw meanwhile.

        Events and predictions are read as single-object Avro of the project's schemas unless told otherwise.
        """
        servers = self.bootstrap_servers
        decode = events or EVENT.decoder()
        return History(
            events=[event for topic in self.inputs for event in read_events(read_topic(servers, topic), decode)],
            predictions=read_predictions(read_topic(servers, self.output), predictions or PREDICTION.decoder()),
            dead_letters=read_dead_letters(read_topic(servers, self.dead_letter)),
            observations=tuple(observed),
        )

    def assert_lawful(self, history: History) -> None:
        """Raise AssertionError with what the checker found, if anything."""
        found = check(history, self.reference)
        assert not found, "\n".join(f"{one.law}: {one.found}" for one in found)


@dataclass(frozen=True, slots=True)
class JobMaker:
    """Makes jobs of one test on one cluster."""

    bootstrap_servers: str
    topics: Topics
    folder: Path

    def __call__(
        self,
        *,
        partitions: int = 4,
        inputs: int = 1,
        hidden: Sequence[int] = (16,),
        settings: Settings | None = None,
        manifest: Mapping[str, Any] | None = None,
    ) -> Job:
        """Make topics, model and settings; `settings` and `manifest` replace what is written by default."""
        sizes = [WIDTH, *hidden, CLASSES]
        made = write_mlp(self.folder / "models", sizes=sizes, manifest=manifest)
        job = Job(
            self.bootstrap_servers,
            self.folder,
            self.topics.name("app"),
            tuple(self.topics.create("events", partitions) for _ in range(inputs)),
            self.topics.create("predictions", partitions),
            self.topics.create("dead", partitions),
            reference_of(made.module.state_dict()),
            self.folder / "stream-infer.yaml",
        )
        written = {section: {**values} for section, values in _settings(job).items()}
        for section, values in (settings or {}).items():
            written.setdefault(section, {}).update(values)
        job.config.write_text(yaml.safe_dump({"application_id": job.application_id, **written}), encoding="utf-8")
        return job


def reference_of(weights: Mapping[str, Any]) -> MlpReference:
    """Return the numpy model with these weights: `0.weight`, `0.bias`, `2.weight`, ..."""
    arrays = {name: tensor.detach().numpy().astype("float64") for name, tensor in weights.items()}
    numbers = sorted({int(name.split(".")[0]) for name in arrays})
    return MlpReference(tuple(Layer(arrays[f"{number}.weight"], arrays[f"{number}.bias"]) for number in numbers))


def _settings(job: Job) -> Settings:
    return {
        "kafka": {
            "bootstrap_servers": job.bootstrap_servers,
            "startup_timeout_s": 30,
            # A killed worker must not hold its partitions for the default of 45 s.
            "consumer_properties": {"session.timeout.ms": 6000, "heartbeat.interval.ms": 1000},
        },
        "topics": {"input": list(job.inputs), "output": job.output, "dead_letter": job.dead_letter},
        "model": {"repository": "models", "device": "cpu"},
        "delivery": {"commit_interval_ms": 200},
        "log": {"format": "console"},
    }
