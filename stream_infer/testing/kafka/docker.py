"""Apache Kafka in a container."""

import subprocess
import sys
from importlib import import_module
from typing import Any

from stream_infer.testing.kafka.cluster import Unavailable, wait_until_ready
from stream_infer.testing.kafka.jars import KAFKA_VERSION, tools_classpath
from stream_infer.testing.kafka.properties import free_port, single_node

_START_TIMEOUT_S = 120
_STOP_TIMEOUT_S = 30
_ANSWER_TIMEOUT_S = 30


class DockerCluster:
    """One node of Apache Kafka's own image, through testcontainers.

    Raises `Unavailable` without testcontainers, without a Docker daemon that answers, or when the container fails.
    """

    owned = True

    def __init__(self) -> None:
        self.source = f"Docker (apache/kafka:{KAFKA_VERSION})"
        _ask_daemon()
        port = free_port()
        made = import_module("testcontainers.core.container").DockerContainer(f"apache/kafka:{KAFKA_VERSION}")
        host = made.get_docker_client().host()
        self.bootstrap_servers = f"{host}:{port}"
        self._container: Any = _configured(made, host=host, port=port)
        self._paused = self._stopped = False
        try:
            self._container.start()
            wait_until_ready(self.bootstrap_servers, timeout_s=_START_TIMEOUT_S)
        except Exception as error:
            self.close()
            # Docker, testcontainers and requests each have errors of their own; any of them means: the next way.
            raise Unavailable(f"{self.source} did not start: {error}") from error

    @property
    def classpath(self) -> str:
        """Return the class path of Kafka's tools from `KAFKA_HOME` or Maven; raises `Unavailable` without both."""
        return tools_classpath()

    def pause(self) -> None:
        """Freeze every process of the container."""
        if not self._paused and not self._stopped:
            self._container.get_wrapped_container().pause()
            self._paused = True

    def resume(self) -> None:
        """Let the container go on."""
        if self._paused:
            self._container.get_wrapped_container().unpause()
            self._paused = False

    def stop(self) -> None:
        """Stop the container, by SIGKILL when it takes longer than 30 s; its data is kept."""
        if not self._stopped:
            self.resume()
            self._container.get_wrapped_container().stop(timeout=_STOP_TIMEOUT_S)
            self._stopped = True

    def start(self) -> None:
        """Start the container again and wait until it answers; raises `Unavailable` when it does not."""
        if self._stopped:
            self._container.get_wrapped_container().start()
            wait_until_ready(self.bootstrap_servers, timeout_s=_START_TIMEOUT_S)
            self._stopped = False

    def keep_log(self) -> str:
        """Return the end of the container's log: it goes with the container."""
        said: bytes = self._container.get_wrapped_container().logs(tail=50)
        return f"the log of Kafka ends with:\n{said.decode(errors='replace')}"

    def close(self) -> None:
        """Remove the container and its data."""
        self._container.stop()


def _configured(container: Any, *, host: str, port: int) -> Any:
    data, everywhere = "/var/lib/kafka/data", "0.0.0.0"  # noqa: S104 - of the container's own network
    # The same port inside and outside, so that the address that clients are told is right for the broker itself too.
    container = container.with_bind_ports(port, port).with_env("KAFKA_HEAP_OPTS", "-Xmx512m")
    properties = {**single_node(host=host, port=port, controller_port=port + 1, bind=everywhere), "log.dirs": data}
    for name, value in properties.items():
        container = container.with_env("KAFKA_" + name.upper().replace(".", "_"), value)
    return container


def _ask_daemon() -> None:
    # In a process of its own: docker's client leaves a socket open when nothing answers, and may wait for ever.
    script = "import testcontainers.core.container, docker; docker.from_env().ping()"
    try:
        asked = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=_ANSWER_TIMEOUT_S
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"no Docker daemon answered within {_ANSWER_TIMEOUT_S} s") from error
    if asked.returncode != 0:
        raise Unavailable(f"no Docker daemon answers ({asked.stderr.strip().splitlines()[-1]})")
