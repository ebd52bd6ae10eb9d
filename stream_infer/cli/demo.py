"""`stream-infer demo`: the main job on real rows, without a Kafka; or on a Kafka of yours."""

import logging.config
from typing import Annotated, Final

import typer
from rich.console import Console

from stream_infer.cli.options import CommonOptions, with_common_options
from stream_infer.clock import SystemClock
from stream_infer.demo.run import Demo, Wishes
from stream_infer.demo.view import summary, view_for
from stream_infer.errors import Stop
from stream_infer.logs import logging_of
from stream_infer.settings import Loaded

SECONDS: Final = 20.0
PER_SECOND: Final = 1000.0
FLAG: Final = "--set"


@with_common_options
def demo(
    common: CommonOptions,
    *,
    seconds: Annotated[float, typer.Option(min=1, help="Seconds for which events are sent.")] = SECONDS,
    rate: Annotated[float, typer.Option(min=1, help="Events a second.")] = PER_SECOND,
    plain: Annotated[bool, typer.Option("--plain", help="Lines rather than a live table.")] = False,
) -> None:
    """Stream hand-written digits through a real worker while its model goes from one version to the next.

    A better version answers a share of the events first and then all of them; a broken one is refused.

    Needs no Kafka: a broker runs inside this process. With --bootstrap-servers the brokers there are used, by topics
    of the demo's own that are removed at the end. Exit code 0 only if every event was answered and no version did
    otherwise than it should.
    """
    loaded = common.load()
    _log_quietly(loaded)
    console = Console()
    wishes = Wishes(seconds=seconds, per_second=rate, own_cluster=_names_brokers(loaded))
    outcome = Demo(loaded.settings, wishes, view=view_for(console, plain=plain), clock=SystemClock()).run()
    standing = outcome.standing
    for line in summary(standing):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if standing.unanswered:
        raise Stop(f"{standing.unanswered:,} of {standing.events:,} events were not answered, expected all to be.")
    if outcome.went_wrong:
        raise Stop(f"The rollout went otherwise than it should: {outcome.went_wrong}.")


def _names_brokers(loaded: Loaded) -> bool:
    """Say whether a flag names the brokers: a file or variable that does was not written for a demo."""
    return loaded.origin_of("kafka.bootstrap_servers").startswith(FLAG)


def _log_quietly(loaded: Loaded) -> None:
    """Log errors alone, unless somebody chose a level: what is worth saying is said on standard output."""
    log = loaded.settings.log
    level = "error" if loaded.origin_of("log.level") == "default" else log.level
    logging.config.dictConfig(logging_of(loaded.settings, level=level))
