"""The table of commands, and the group that imports a command's module only when it is the one that runs."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup


@dataclass(frozen=True, slots=True)
class Entry:
    """One command: its name, what help says, and where it is, as `module:attribute` (a function or a Typer app)."""

    name: str
    summary: str
    target: str


COMMANDS: Final = (
    Entry("worker", "Score the input topic until told to stop.", "stream_infer.cli.worker:worker"),
    Entry("demo", "See the main job at work, without a Kafka.", "stream_infer.cli.demo:demo"),
    Entry("topics", "Make the topics that the worker needs.", "stream_infer.cli.topics:app"),
    Entry("produce", "Send JSON lines as Avro events.", "stream_infer.cli.produce:produce"),
    Entry("consume", "Read Avro records as JSON lines.", "stream_infer.cli.consume:consume"),
    Entry("model", "Package, check and list model versions.", "stream_infer.cli.model:app"),
    Entry("rollout", "Roll versions, and see which serve.", "stream_infer.cli.rollout:app"),
    Entry("dlq", "Look into the dead letters, and send them back.", "stream_infer.cli.dlq:app"),
    Entry("compare", "See how two topics of predictions differ.", "stream_infer.cli.compare:compare"),
    Entry("config", "Show the effective settings, and where each comes from.", "stream_infer.cli.config:config"),
)


class CommandTable(TyperGroup):
    """A group whose commands are listed from the table and imported on use."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._entries = {entry.name: entry for entry in COMMANDS}
        self.commands = {entry.name: TyperCommand(entry.name, help=entry.summary) for entry in COMMANDS}

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the name, the command itself, imported by now, and the arguments that are left."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, load(self._entries[name]) if name in self._entries else command, rest


def load(entry: Entry) -> Any:
    """Return a command of the table as Typer runs it."""
    module, _, attribute = entry.target.partition(":")
    found: typer.Typer | Callable[..., None] = getattr(import_module(module), attribute)
    if isinstance(found, typer.Typer):
        return typer.main.get_command(found)
    alone = typer.Typer(add_completion=False)
    alone.command(entry.name)(found)
    return typer.main.get_command(alone)
