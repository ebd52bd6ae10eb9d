import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, NoReturn

import pytest

from stream_infer.logs import say_everything_left_out
from stream_infer.testing.kafka import Cluster, NoKafka, Topics, kafka_cluster

KAFKA_FIXTURES = frozenset({"kafka", "private_kafka", "stoppable_kafka", "topics"})
LONG = ("tests/end_to_end/", "tests/faults/", "tests/demo/", "tests/house/test_documents.py")
"""Where a test may take a minute: these begin first, so that processes that share the tests end at the same time."""
NOTES = pytest.StashKey[list[str]]()
NO_KAFKA = pytest.StashKey[str]()
DESELECTED = pytest.StashKey[dict[str, list[str]]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[NOTES] = []
    config.stash[DESELECTED] = {}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if KAFKA_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.broker)
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))


def pytest_deselected(items: list[pytest.Item]) -> None:
    for item in items:
        for marker in ("broker", "chart", "cuda", "docker", "integrations", "rollouts_full", "faults"):
            if item.get_closest_marker(marker) and not item.config.option.keyword:
                item.config.stash[DESELECTED].setdefault(marker, []).append(item.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Send what the last lines are made of to the process that writes them, where tests run in several."""
    config = session.config
    if hasattr(config, "workeroutput"):
        config.workeroutput["last_lines"] = {
            "notes": config.stash[NOTES],
            "deselected": config.stash[DESELECTED],
            "no_kafka": config.stash.get(NO_KAFKA, None),
        }


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take what another process sent; all of them have deselected the same."""
    sent = getattr(node, "workeroutput", {}).get("last_lines")
    if sent is None:
        return
    stash = node.config.stash
    stash[NOTES] += [note for note in sent["notes"] if note not in stash[NOTES]]
    stash[DESELECTED].update(sent["deselected"])
    if sent["no_kafka"]:
        stash[NO_KAFKA] = sent["no_kafka"]


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(config, "workerinput"):
        return
    for note in config.stash[NOTES]:
        reporter.write_line(note)
    for marker, names in config.stash[DESELECTED].items():
        reporter.write_line(f"Deselected by marker, -m {marker} runs them: {len(names)}")
        for name in sorted({name.partition("[")[0] for name in names} if marker != "broker" else ()):
            reporter.write_line(f"  {name}")
    skipped = [report for report in reporter.stats.get("skipped", []) if "broker" in report.keywords]
    if skipped and NO_KAFKA in config.stash:
        reporter.write_line(f"Skipped {len(skipped)} tests marked broker: {config.stash[NO_KAFKA]}")


@pytest.fixture(autouse=True)
def _said_anew() -> Iterator[None]:
    """Let each test hear what repeats as if nothing had been said before."""
    yield
    say_everything_left_out()


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Return the session's real Kafka; without any the test is skipped, or fails where CI=true."""
    yield from cluster_for(request, own=False)


@pytest.fixture(scope="session")
def private_kafka(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Return a Kafka that this session may stop: its own one, also where the tests run on a borrowed cluster."""
    if not os.environ.get("STREAM_INFER_TEST_BOOTSTRAP"):
        yield request.getfixturevalue("kafka")
    else:
        yield from cluster_for(request, own=True)


@pytest.fixture
def stoppable_kafka(private_kafka: Cluster) -> Iterator[Cluster]:
    """Return a Kafka that the test may pause and stop; it runs again afterwards, whatever the test did."""
    yield private_kafka
    private_kafka.resume()
    private_kafka.start()


@pytest.fixture
def topics(request: pytest.FixtureRequest) -> Iterator[Topics]:
    """Return a maker of topics that are the test's own."""
    # Asked for by name while the test runs, the marker is not set for it: `make unit` would start a broker.
    assert request.node.get_closest_marker("broker"), "expected this case to be marked pytest.mark.broker"
    kafka: Cluster = request.getfixturevalue("kafka")
    made = Topics(kafka.bootstrap_servers)
    yield made
    made.delete_all()


def cluster_for(request: pytest.FixtureRequest, *, own: bool) -> Iterator[Cluster]:
    notes = request.config.stash[NOTES]
    with ExitStack() as stack:
        try:
            cluster = stack.enter_context(kafka_cluster(own=own, say=notes.append))
        except NoKafka as error:
            request.config.stash[NO_KAFKA] = str(error)
        if NO_KAFKA in request.config.stash:
            give_up(request.config.stash[NO_KAFKA])
        notes.append(f"Kafka: {cluster.source}")
        yield cluster
        if request.session.testsfailed:
            notes.append(cluster.keep_log())


def give_up(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip("no Kafka could be started")
