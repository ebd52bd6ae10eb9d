"""A call has a limit that it does not keep itself, and leaves nothing behind once it is over."""

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from stream_infer.transport.bounded import begun, bounded


class Client:
    """What a call needs, and would keep alive."""

    def fail(self) -> None:
        raise ValueError("no")


@pytest.fixture
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_what_a_call_raises_is_raised_and_what_takes_too_long_is_left() -> None:
    with pytest.raises(ValueError, match="no"):
        bounded(Client().fail, within_s=5.0)
    over = threading.Event()
    with pytest.raises(TimeoutError):
        bounded(over.wait, within_s=0.01)
    over.set()


@pytest.mark.usefixtures("_no_collector")
@pytest.mark.parametrize("wait", [lambda call: bounded(call, within_s=5.0), lambda call: begun(call).result(5.0)])
def test_a_call_that_failed_keeps_its_client_alive_no_longer(wait: Callable[[Callable[[], object]], object]) -> None:
    client = Client()
    alive = weakref.ref(client)
    with suppress(ValueError):
        wait(client.fail)
    for thread in threading.enumerate():
        if thread.name == "begun-call":
            thread.join(5.0)
    del client
    assert alive() is None
