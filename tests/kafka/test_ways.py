import os
import signal
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from stream_infer.testing.kafka import Cluster, NoKafka, Unavailable
from stream_infer.testing.kafka.borrowed import BorrowedCluster
from stream_infer.testing.kafka.choose import Way, open_first, ways
from stream_infer.testing.kafka.cluster import wait_until_ready
from stream_infer.testing.kafka.jars import find_java, installed_classpath
from stream_infer.testing.kafka.properties import free_port


def failing(name: str) -> Way:
    def open_nothing() -> Cluster:
        raise Unavailable(f"{name} is away")

    return Way(name, open_nothing)


def test_the_first_way_that_works_is_taken_and_those_before_it_say_why_not(kafka: Cluster) -> None:
    said: list[str] = []
    never = Way("never", lambda: pytest.fail("a later way was tried"))
    assert open_first([failing("one"), failing("two"), Way("three", lambda: kafka), never], say=said.append) is kafka
    assert said == ["No Kafka from one: one is away", "No Kafka from two: two is away"]


def test_when_no_way_works_the_error_names_each_reason() -> None:
    with pytest.raises(NoKafka, match=r"one is away; two: two is away\); expected one of STREAM_INFER_TEST_BOOTSTRAP"):
        open_first([failing("one"), failing("two")], say=lambda _: None)


def test_the_environment_comes_first_and_the_own_jars_last() -> None:
    environ = {"STREAM_INFER_TEST_BOOTSTRAP": "localhost:9092", "KAFKA_HOME": "/opt/kafka"}
    names = [way.name for way in ways(environ, own=False)]
    assert names == ["STREAM_INFER_TEST_BOOTSTRAP", "KAFKA_HOME", "Docker", "Java and Maven"]


def test_what_is_not_asked_for_is_not_tried() -> None:
    assert [way.name for way in ways({}, own=False)] == ["Docker", "Java and Maven"]


def test_a_cluster_to_be_stopped_is_never_the_borrowed_one() -> None:
    found = ways({"STREAM_INFER_TEST_BOOTSTRAP": "localhost:9092"}, own=True)
    assert "STREAM_INFER_TEST_BOOTSTRAP" not in [way.name for way in found]


def test_a_borrowed_cluster_refuses_to_be_stopped_and_stays_when_closed(kafka: Cluster) -> None:
    borrowed = BorrowedCluster(kafka.bootstrap_servers, source="a test")
    with pytest.raises(Unavailable, match="cannot stop"):
        borrowed.stop()
    borrowed.close()
    wait_until_ready(kafka.bootstrap_servers, timeout_s=30)


def test_a_home_without_kafka_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="expected an unpacked Apache Kafka"):
        installed_classpath(tmp_path)


@pytest.mark.parametrize("version", ["1.8.0_402", "11.0.22"])
def test_a_java_that_is_too_old_is_refused(tmp_path: Path, version: str) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    java.chmod(java.stat().st_mode | stat.S_IXUSR)
    with pytest.raises(Unavailable, match="expected Java 17 or later"):
        find_java({"JAVA_HOME": str(tmp_path)})


def test_without_java_the_error_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="expected Java 17 or later"):
        find_java({"PATH": str(tmp_path)})


def test_waiting_for_a_broker_that_has_ended_ends_at_once() -> None:
    with pytest.raises(Unavailable, match="ended while it started"):
        wait_until_ready(f"127.0.0.1:{free_port()}", timeout_s=60, is_alive=lambda: False)


def test_waiting_for_a_broker_ends_with_the_time() -> None:
    with pytest.raises(Unavailable, match=r"no broker was ready within 0\.1 s"):
        wait_until_ready(f"127.0.0.1:{free_port()}", timeout_s=0.1)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent died")
def test_a_broker_dies_with_tests_that_are_killed() -> None:
    script = """
import subprocess, sys
from stream_infer.testing.kafka.local import die_with_parent
command = [*die_with_parent(), "sh", "-c", "echo $$; exec tail -f /dev/null"]
subprocess.Popen(command, start_new_session=True)
sys.stdin.read()
"""
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        broker = int(parent.stdout.readline())
        parent.kill()
        try:
            # The child holds the other end too: this read ends when both are gone.
            assert parent.stdout.read() == b""
        finally:
            with suppress(ProcessLookupError):
                os.kill(broker, signal.SIGKILL)
