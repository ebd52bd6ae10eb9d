"""The options that every command takes, as Typer types, and what becomes of them: settings."""

import functools
import inspect
import logging.config
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Concatenate, Final, ParamSpec

import typer

from stream_infer.cli.invocation import Invocation
from stream_infer.logs import logging_of
from stream_infer.settings import Loaded, Settings, load_with_origins

P = ParamSpec("P")


def _note_debug(ctx: typer.Context, given: bool) -> bool:
    # --debug must hold already when another option turns out to be wrong, which is why it is read first.
    ctx.ensure_object(Invocation).debug |= given
    return given


ConfigOption = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="Settings file, YAML.", rich_help_panel="Settings")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="SECTION.NAME=VALUE",
        help="One setting, over file and environment; repeatable.",
        rich_help_panel="Settings",
    ),
]
BootstrapServersOption = Annotated[
    str | None,
    typer.Option(
        "--bootstrap-servers", metavar="HOST:PORT,...", help="kafka.bootstrap_servers.", rich_help_panel="Settings"
    ),
]
LogLevelOption = Annotated[
    str | None, typer.Option("--log-level", metavar="LEVEL", help="log.level.", rich_help_panel="Settings")
]
DebugOption = Annotated[
    bool,
    typer.Option(
        "--debug",
        help="Show tracebacks.",
        is_eager=True,
        callback=_note_debug,
        rich_help_panel="Settings",
    ),
]


@dataclass(frozen=True, slots=True)
class CommonOptions:
    """What the options that every command takes were given."""

    config: Path | None
    sets: tuple[str, ...]

    def load(self) -> Loaded:
        """Return the settings with their origins; raises WrongUse."""
        return load_with_origins(self.config, self.sets, os.environ)

    def start(self) -> Settings:
        """Return the settings after logging to standard error was set up by them; raises WrongUse."""
        settings = self.load().settings
        logging.config.dictConfig(logging_of(settings))
        return settings


def common_options(
    config: Path | None,
    sets: Sequence[str] | None,
    *,
    bootstrap_servers: str | None = None,
    log_level: str | None = None,
) -> CommonOptions:
    """Return the options as one value; `--bootstrap-servers` and `--log-level` win over `--set`."""
    named = {"kafka.bootstrap_servers": bootstrap_servers, "log.level": log_level}
    extra = [f"{name}={value}" for name, value in named.items() if value is not None]
    return CommonOptions(config, (*(sets or ()), *extra))


def settings_from(
    config: Path | None,
    sets: Sequence[str] | None,
    *,
    bootstrap_servers: str | None = None,
    log_level: str | None = None,
) -> Settings:
    """Return the settings that a command's options make; raises WrongUse."""
    return common_options(config, sets, bootstrap_servers=bootstrap_servers, log_level=log_level).load().settings


def with_common_options(command: Callable[Concatenate[CommonOptions, P], None]) -> Callable[..., None]:
    """Return `command` with the options that every command takes added to its own, for Typer to read.

    They arrive as one value, the first argument.
    """
    body: Callable[..., None] = command

    @functools.wraps(command)
    def run(**given: Any) -> None:
        common = {name: given.pop(name) for name in _COMMON}
        del common["debug"]
        body(common_options(common.pop("config"), common.pop("sets"), **common), **given)

    own = list(inspect.signature(command).parameters.values())[1:]
    added = [
        inspect.Parameter(name, _KEYWORD, annotation=kind, default=_default(name)) for name, kind in _COMMON.items()
    ]
    parameters = [parameter.replace(kind=_KEYWORD) for parameter in (*own, *added)]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined] # read by inspect, and so by Typer
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _default(name: str) -> bool | None:
    return False if name == "debug" else None


_KEYWORD: Final = inspect.Parameter.KEYWORD_ONLY
_COMMON: Final[dict[str, Any]] = {
    "config": ConfigOption,
    "sets": SetOption,
    "bootstrap_servers": BootstrapServersOption,
    "log_level": LogLevelOption,
    "debug": DebugOption,
}
