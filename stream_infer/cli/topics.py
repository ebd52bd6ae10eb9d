"""`stream-infer topics create`: make what is missing, say what is there and what is set wrongly."""

from typing import Annotated

import typer

from stream_infer.cli.options import CommonOptions, with_common_options
from stream_infer.errors import Stop
from stream_infer.transport.clients import wait_for_broker
from stream_infer.transport.topics import BROKER_DEFAULT, admin_for, plan_topics

app = typer.Typer(add_completion=False, help="Make the topics that the worker needs.")


@app.callback()
def _topics() -> None:
    """Make the topics that the worker needs."""


@app.command("create")
@with_common_options
def create(
    common: CommonOptions,
    *,
    partitions: Annotated[
        int | None,
        typer.Option(min=1, help="Of input, output, dead-letter and retry; default: as the input has, else 4."),
    ] = None,
    replication_factor: Annotated[
        int | None, typer.Option(min=1, help="Of every topic that is made; default: the brokers' own.")
    ] = None,
) -> None:
    """Make the topics that are missing, with the right settings; what exists is left as it is."""
    settings = common.start()
    wait_for_broker(settings)
    admin = admin_for(settings)
    plan = plan_topics(admin, settings, partitions=partitions, replication_factor=replication_factor or BROKER_DEFAULT)
    for found in plan.existing:
        print(f"exists   {found.name} ({_partitions(found.partitions)})")
    for topic in plan.missing:
        admin.create([topic])
        print(f"created  {topic.name} ({_partitions(topic.partitions)})")
    if plan.wrong:
        raise Stop("\n".join(plan.wrong))


def _partitions(count: int) -> str:
    return "1 partition" if count == 1 else f"{count} partitions"
