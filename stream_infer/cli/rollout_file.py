"""The desired state as a file, for `rollout apply` and `rollout export`."""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import yaml

from stream_infer.cli.operator import Operator
from stream_infer.cli.rollout_word import Asked, Manner, say, speak
from stream_infer.errors import Stop, WrongUse
from stream_infer.rollout import operate
from stream_infer.rollout.fold import Folded
from stream_infer.rollout.operate import Issued
from stream_infer.rollout.record import BadRecord, Desired, VersionRef, parse_desired, to_json
from stream_infer.settings import Settings

STANDARD_INPUT: Final = Path("-")
OF_THE_RECORD: Final = frozenset({"issued_at", "issued_by", "reason", "application_id", "revision"})


@dataclass(frozen=True, slots=True)
class StateFile:
    """A desired state as a file has it, YAML or JSON, read once; `name` is the file's."""

    name: str
    content: Any

    def parse(self, *, next_revision: int) -> Desired:
        """Return the state; `next_revision` is its revision where it names none. Raises `WrongUse` for what is none."""
        try:
            return parse_desired(json.dumps(self.content, default=str).encode(), next_revision=next_revision)
        except BadRecord as error:
            raise WrongUse(f"{self.name}: {error}.") from error


def apply_state(operator: Operator, settings: Settings, state: StateFile, *, manner: Manner) -> None:
    """Write what a file says, unless the log says it already; versions without a digest are pinned first."""
    wanted = state.parse(next_revision=operator.known.revision + 1)
    if operate.apply(operator.folded, wanted, issued=operator.issued(None)) is not None:
        wanted = _pinned(operator, settings, wanted)
    if operate.apply(operator.folded, wanted, issued=operator.issued(None)) is None:
        say("nothing to change")
        return

    def word(folded: Folded, issued: Issued) -> Desired:
        found = operate.apply(folded, wanted, issued=issued)
        if found is None:
            raise Stop("Somebody wrote the same just now.")
        return found

    speak(operator, word, manner=manner)


def read_state(file: Path) -> StateFile:
    """Return what a file holds, `-` for standard input; raises `WrongUse` when that is no YAML."""
    try:
        text = sys.stdin.read() if file == STANDARD_INPUT else file.read_text(encoding="utf-8")
        return StateFile("standard input" if file == STANDARD_INPUT else str(file), yaml.safe_load(text))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise WrongUse(f"--file is {file}, expected YAML that can be read: {' '.join(str(error).split())}.") from error


def state_yaml(desired: Desired) -> str:
    """Return a state as `read_state` reads it, without what belongs to its record alone."""
    whole: dict[str, Any] = json.loads(to_json(desired))
    left = {name: value for name, value in whole.items() if name not in OF_THE_RECORD}
    return yaml.safe_dump(left, sort_keys=False, allow_unicode=True)


def _pinned(operator: Operator, settings: Settings, wanted: Desired) -> Desired:
    """Return a file's state with a digest for every version that neither the file nor the log gives one."""
    known = tuple(_named(operator.folded.current)) if operator.folded.current else ()

    def pin(ref: VersionRef) -> VersionRef:
        is_known = any(one.version == ref.version and ref.uri in {None, one.uri} for one in known)
        asked = Asked(ref.version, ref.uri, ref.sha256)
        return ref if ref.sha256 or is_known else asked.pin(settings, model=wanted.model)

    beside = wanted.canary and replace(wanted.canary, ref=pin(wanted.canary.ref))
    prepared = tuple(pin(ref) for ref in wanted.prepared)
    return replace(wanted, stable=pin(wanted.stable), canary=beside, prepared=prepared)


def _named(desired: Desired) -> Iterator[VersionRef]:
    yield desired.stable
    if desired.canary is not None:
        yield desired.canary.ref
    yield from desired.prepared
