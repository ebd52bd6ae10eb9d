"""From everything that somebody wrote to one frozen value: defaults < file < environment < flags."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from stream_infer.errors import WrongUse
from stream_infer.settings.layers import Given, Layer, config_path, read_environment, read_file, read_flags
from stream_infer.settings.root import Settings
from stream_infer.settings.secrets import HIDDEN, is_secret, without_password
from stream_infer.settings.unready import unready

DEFAULT: Final = "default"
KEY: Final = ".[key]"  # pydantic's mark for a finding about a name in a map
Origins = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and for each dotted name that somebody wrote where: a file and line, a variable or a flag."""

    settings: Settings
    origins: Origins

    def origin_of(self, name: str) -> str:
        """Return where the value of a dotted name comes from; `default` where nobody wrote it."""
        return self.origins.get(name, DEFAULT)


def load_settings(config: Path | None, sets: Sequence[str], environ: Mapping[str, str]) -> Settings:
    """Return the settings that a file, `section.name=value` texts and the environment make together.

    `config` None means the file that `STREAM_INFER_CONFIG` names, if any. Raises WrongUse, a sentence a line, each with
    the option's name, the value found and what was expected.
    """
    return load_with_origins(config, sets, environ).settings


def load_with_origins(config: Path | None, sets: Sequence[str], environ: Mapping[str, str]) -> Loaded:
    """Return the same settings as `load_settings`, with where each value comes from."""
    path = config_path(config, environ)
    layers = [*([read_file(path)] if path else []), read_environment(environ), read_flags(sets)]
    _refuse(sentence for layer in layers for sentence in layer.wrong)
    given = _overlay(layers)
    base = path.absolute().parent if path else Path.cwd()
    settings = _build(given, base=base)
    _refuse(unready(settings))
    return Loaded(settings, {name: item.origin for name, item in given.items()})


def _overlay(layers: Iterable[Layer]) -> dict[str, Given]:
    return {item.name: item for layer in layers for item in layer.given}


def _build(given: Mapping[str, Given], *, base: Path) -> Settings:
    try:
        return Settings.model_validate(_nested(given.values()), context={"base": base})
    except ValidationError as error:
        _refuse(_sentence(finding, given) for finding in error.errors(include_url=False))
        raise


def _nested(given: Iterable[Given]) -> dict[str, Any]:
    """Return the values by section, as the sections nest. A section that the file left empty is as if not named."""
    whole: dict[str, Any] = {}
    for item in given:
        steps = (*item.option.path, item.key) if item.option.is_map else item.option.path
        inner = whole
        for step in steps[:-1]:
            inner = inner.setdefault(step, {})
        inner[steps[-1]] = item.value
    return whole


def _sentence(finding: ErrorDetails, given: Mapping[str, Given]) -> str:
    message = finding["msg"].removeprefix("Value error, ")
    path = ".".join(map(str, finding["loc"]))
    name = _longest(path, given)
    if not name:
        return message
    if path.endswith(KEY):
        return f"{name} ({given[name].origin}) {message}"
    found = HIDDEN if is_secret(name) else _shown(finding["input"])
    origin = f" ({given[name].origin})" if name in given else ""
    or_null = " or null" if name in given and given[name].option.nullable else ""
    return f"{name} is {found}{origin}, expected {_expected(message)}{or_null}"


def _longest(name: str, given: Mapping[str, Given]) -> str:
    """Return the part of a finding's place that somebody wrote, so that an index into a list falls away."""
    parts = name.split(".")
    candidates = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((candidate for candidate in candidates if candidate in given), name)


def _expected(message: str) -> str:
    start, found, rest = message.partition(" should ")
    if not found:
        return message
    return rest.removeprefix("be ").removeprefix("have ") if start in {"Input", "String", "Value"} else message


def _shown(value: object) -> str:
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else without_password(repr(value))


def _refuse(sentences: Iterable[str]) -> None:
    found = [sentence.rstrip(".") + "." for sentence in sentences]
    if found:
        raise WrongUse("\n".join(found))
