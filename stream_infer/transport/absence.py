"""Absence: the group has lost this worker, and its client does not come back by itself."""

from typing import Final

from stream_infer.errors import Stop

LIMIT_S: Final = 300.0
"""Far longer than a rebalance or the election of a coordinator takes."""
LOST: Final = (
    "the group has not had this worker for {seconds:.0f} s although {connected} brokers answer: its Kafka client does "
    "not come back, expected it to join within {limit:.0f} s; start the worker again, what was not committed is scored "
    "then"
)


class Absence:
    """Watches a consumer that has subscribed. An outage is none: while no broker can be reached nothing is counted."""

    def __init__(self) -> None:
        self._since_s: float | None = None
        self._last_s = 0.0

    def note(self, now_s: float, *, joined: bool, connected: int) -> None:
        """Note whether the group has a member here, and how many brokers are connected.

        To be called every few seconds: a long time between two calls is one in which this process did not run.

        `now_s` is monotonic. Raises `Stop` when brokers answer and the group has had no member here for `LIMIT_S`.
        """
        was_stopped, self._last_s = now_s - self._last_s > LIMIT_S / 2, now_s
        if joined or not connected or was_stopped:
            self._since_s = None
            return
        self._since_s = now_s if self._since_s is None else self._since_s
        if now_s - self._since_s > LIMIT_S:
            raise Stop(LOST.format(seconds=now_s - self._since_s, connected=connected, limit=LIMIT_S))
