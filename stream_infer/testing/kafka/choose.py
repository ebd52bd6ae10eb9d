"""Where a Kafka comes from: the ways in their order, and the first that works."""

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stream_infer.testing.kafka.borrowed import BorrowedCluster
from stream_infer.testing.kafka.cluster import Cluster, NoKafka, Unavailable
from stream_infer.testing.kafka.docker import DockerCluster
from stream_infer.testing.kafka.jars import KAFKA_VERSION, installed_classpath, maven_classpath
from stream_infer.testing.kafka.local import LocalCluster

BOOTSTRAP_VARIABLE = "STREAM_INFER_TEST_BOOTSTRAP"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Way:
    """One way to get a Kafka: `open` starts it, or raises `Unavailable`."""

    name: str
    open: Callable[[], Cluster]


@contextmanager
def kafka_cluster(*, own: bool = False, say: Callable[[str], None] = _LOG.warning) -> Iterator[Cluster]:
    """Give a running Kafka from the first way that works, and end it afterwards.

    `own` passes over the borrowed cluster, for tests that stop and pause it. `say` is told one sentence for each way
    that failed. Raises `NoKafka` when none works.
    """
    cluster = open_first(ways(os.environ, own=own), say=say)
    try:
        yield cluster
    finally:
        cluster.close()


def ways(environ: Mapping[str, str], *, own: bool) -> list[Way]:
    """Return the ways to try, in order; those that nobody asked for by a variable are left out."""
    found = []
    bootstrap, home = environ.get(BOOTSTRAP_VARIABLE), environ.get("KAFKA_HOME")
    if bootstrap and not own:
        found.append(
            Way(BOOTSTRAP_VARIABLE, lambda: BorrowedCluster(bootstrap, source=f"{BOOTSTRAP_VARIABLE}={bootstrap}"))
        )
    if home:
        found.append(Way("KAFKA_HOME", lambda: _installed(Path(home))))
    return [*found, Way("Docker", DockerCluster), Way("Java and Maven", _from_maven)]


def open_first(candidates: list[Way], *, say: Callable[[str], None]) -> Cluster:
    """Return the cluster of the first candidate that works, telling `say` about each that does not.

    Raises `NoKafka` with all their reasons when none does.
    """
    reasons = []
    for way in candidates:
        try:
            return way.open()
        except Unavailable as error:
            reasons.append(f"{way.name}: {error}")
            say(f"No Kafka from {reasons[-1]}")
    raise NoKafka(
        f"no Kafka could be started ({'; '.join(reasons)}); expected one of {BOOTSTRAP_VARIABLE}, KAFKA_HOME, "
        "a Docker daemon, or Java 17 with Maven"
    )


def _installed(home: Path) -> Cluster:
    return LocalCluster(classpath=installed_classpath(home), source=f"KAFKA_HOME={home}")


def _from_maven() -> Cluster:
    return LocalCluster(classpath=maven_classpath(), source=f"Apache Kafka {KAFKA_VERSION} from Maven, on local Java")
