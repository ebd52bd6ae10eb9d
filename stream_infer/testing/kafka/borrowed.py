"""A cluster that somebody else runs."""

from stream_infer.testing.kafka.cluster import Unavailable, wait_until_ready
from stream_infer.testing.kafka.jars import tools_classpath

_ANSWER_TIMEOUT_S = 15


class BorrowedCluster:
    """The cluster at `bootstrap_servers`, which is not ours to stop.

    Raises `Unavailable` when it does not answer within 15 s.
    """

    owned = False

    def __init__(self, bootstrap_servers: str, *, source: str) -> None:
        self.bootstrap_servers = bootstrap_servers
        self.source = source
        wait_until_ready(bootstrap_servers, timeout_s=_ANSWER_TIMEOUT_S)

    @property
    def classpath(self) -> str:
        """Return the class path of Kafka's tools from `KAFKA_HOME` or Maven; raises `Unavailable` without both."""
        return tools_classpath()

    def pause(self) -> None:
        """Raise `Unavailable`: it is not ours."""
        raise self._refusal("pause")

    def resume(self) -> None:
        """Raise `Unavailable`: it is not ours."""
        raise self._refusal("resume")

    def stop(self) -> None:
        """Raise `Unavailable`: it is not ours."""
        raise self._refusal("stop")

    def start(self) -> None:
        """Raise `Unavailable`: it is not ours."""
        raise self._refusal("start")

    def keep_log(self) -> str:
        """Return where the log is: with whoever runs the cluster."""
        return f"the log of Kafka is with whoever runs {self.bootstrap_servers}"

    def close(self) -> None:
        """Leave the cluster as it is."""

    def _refusal(self, verb: str) -> Unavailable:
        return Unavailable(
            f"cannot {verb} the Kafka at {self.bootstrap_servers}: it is borrowed; expected one of our own"
        )
