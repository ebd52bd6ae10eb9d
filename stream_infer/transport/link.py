"""What an app must carry so that the plug-in can serve it: made by `stream_infer.mount`, found by the transport."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from stream_infer.errors import WrongUse
from stream_infer.transport.feed import Feed

ATTRIBUTE: Final = "stream_infer_link"


@dataclass(frozen=True, slots=True)
class Link:
    """The ties between a Faust app and the scoring side.

    Records of `input_topics` and `retry_topic` travel as batches, each of which Faust sees as one event of the first of
    these topics. `before_subscribe` makes everything ready that must be
    ready before this worker may hold a partition, and gives up when the function it is given says that the worker
    stops; `after_close` ends it and is told whether nothing was left undone; both block and run off the event loop.
    `failed` is told why the consumer thread cannot go on. `producer_properties` are for records that the user's own
    agents send.
    """

    input_topics: tuple[str, ...]
    retry_topic: str
    feed: Feed
    producer_properties: Mapping[str, object]
    shutdown_timeout_s: float
    before_subscribe: Callable[[Callable[[], bool]], None]
    after_close: Callable[[bool], None]
    failed: Callable[[BaseException], None]


def attach(app: Any, link: Link) -> None:
    """Tie `app` to the scoring side."""
    setattr(app, ATTRIBUTE, link)


def link_of(app: Any) -> Link:
    """Return the link of `app`; raises `WrongUse` for an app that was never mounted."""
    link = getattr(app, ATTRIBUTE, None)
    if not isinstance(link, Link):
        message = "broker rdkafka:// was given to a Faust app without stream_infer.mount(app, settings): call it first"
        raise WrongUse(message)
    return link
