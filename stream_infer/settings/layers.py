"""Where settings are written: the file, the environment and flags, each read into the same kind of value."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from stream_infer.errors import WrongUse
from stream_infer.settings.options import ENV_PREFIX, Option, all_options, find_option, nearest, nearest_option
from stream_infer.settings.options import Path as OptionPath
from stream_infer.settings.secrets import HIDDEN, is_secret
from stream_infer.settings.yaml import Leaf, read_leaves

CONFIG_VARIABLE: Final = ENV_PREFIX + "CONFIG"
TEST_PREFIX: Final = ENV_PREFIX + "TEST_"

# Kubernetes gives pods variables for each Service of their namespace; those of one named stream-infer look like ours.
_SERVICE_LINK: Final = re.compile(r"(\w+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)")
_SERVICE_LINK_VALUE: Final = re.compile(r"(tcp|udp|sctp)://")


@dataclass(frozen=True, slots=True)
class Given:
    """One value that somebody wrote: for which option, the name below it if that is a map, and where it was written."""

    option: Option
    key: str
    value: Any
    origin: str

    @property
    def name(self) -> str:
        """The dotted name, with the name below a map."""
        return f"{self.option.name}.{self.key}" if self.key else self.option.name


@dataclass(frozen=True, slots=True)
class Layer:
    """Everything that one place says, and a sentence for each thing that it says wrongly."""

    given: tuple[Given, ...]
    wrong: tuple[str, ...]


def config_path(config: Path | None, environ: Mapping[str, str]) -> Path | None:
    """Return the settings file: the one given, else the one that `STREAM_INFER_CONFIG` names, else None."""
    named = environ.get(CONFIG_VARIABLE)
    return config or (Path(named) if named else None)


def read_file(path: Path) -> Layer:
    """Read a YAML file; raises WrongUse when it cannot be read at all."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise WrongUse(f"The settings file {path} cannot be read: {reason}.") from error
    leaves = read_leaves(text, source=str(path))
    return _layer(_from_leaf(leaf, path) for leaf in leaves if not _is_empty_section(leaf))


def read_environment(environ: Mapping[str, str]) -> Layer:
    """Read the variables that begin with `STREAM_INFER_`."""
    return _layer(_from_variable(name, environ[name]) for name in sorted(environ) if _is_ours(name, environ[name]))


def read_flags(sets: Sequence[str]) -> Layer:
    """Read `section.name=value` texts."""
    return _layer(map(_from_flag, sets))


def _layer(found: Iterator[Given | str]) -> Layer:
    everything = list(found)
    return Layer(
        given=tuple(item for item in everything if isinstance(item, Given)),
        wrong=tuple(item for item in everything if isinstance(item, str)),
    )


def _is_empty_section(leaf: Leaf) -> bool:
    """Say whether a file names a section and leaves it empty, as `web:` with nothing below."""
    return leaf.value is None and any(option.is_below(leaf.path) for option in all_options())


def _from_leaf(leaf: Leaf, path: Path) -> Given | str:
    origin = f"{path}:{leaf.line}"
    found = find_option(leaf.path)
    return Given(*found, leaf.value, origin) if found else _unknown(leaf.path, origin)


def _from_flag(text: str) -> Given | str:
    name, equals, value = text.partition("=")
    path = tuple(name.strip().split("."))
    if not equals:
        shown = HIDDEN if is_secret(text) else repr(text)
        return f"--set is {shown}, expected section.name=value"
    found = find_option(path)
    return Given(*found, _from_text(found[0], value), f"--set {name.strip()}") if found else _unknown(path, "--set")


def _from_variable(variable: str, text: str) -> Given | str:
    found = _option_of(variable)
    if found is not None:
        return Given(*found, _from_text(found[0], text), variable)
    near = nearest(variable, (option.variable for option in all_options()))
    return f"The environment variable {variable} is no setting, expected one that is: the nearest is {near}"


def _option_of(variable: str) -> tuple[Option, str] | None:
    for option in all_options():
        if not option.is_map and variable == option.variable:
            return option, ""
        below = variable.removeprefix(option.variable + "__")
        if option.is_map and below != variable and below:
            return option, below.lower().replace("__", ".").replace("_", ".")
    return None


def _is_ours(variable: str, value: str) -> bool:
    rest = variable.removeprefix(ENV_PREFIX)
    if variable in {rest, CONFIG_VARIABLE} or variable.startswith(TEST_PREFIX):
        return False
    is_link = _SERVICE_LINK.fullmatch(rest) or (rest.endswith("PORT") and _SERVICE_LINK_VALUE.match(value))
    return not is_link or "__" in rest


def _from_text(option: Option, text: str) -> str | None:
    """Return what a text means: `null` is null where null means something."""
    return None if option.nullable and text == "null" else text


def _unknown(path: OptionPath, origin: str) -> str:
    name = ".".join(path)
    at_map = [option for option in all_options() if option.is_map and option.path == path]
    if at_map:
        return f"{name} ({origin}) was given as one value, expected {name}.<property>"
    inside = [option.name for option in all_options() if option.is_below(path)]
    if inside:
        return f"{name} ({origin}) was given as one value, expected a section with names as {inside[0]}"
    return f"{name} ({origin}) is no setting, expected one that is: the nearest is {nearest_option(name)}"
