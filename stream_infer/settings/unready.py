"""Values that this version cannot honour yet: refused, never ignored. A row goes when its feature comes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from stream_infer.settings.root import Settings


@dataclass(frozen=True, slots=True)
class Unready:
    """An option, the value that is not ready, and what to use until it is."""

    name: str
    value: object
    instead: str


UNREADY: Final = (Unready("model.trust_policy", "signed", "digest"),)


def unready(settings: Settings) -> Iterator[str]:
    """Say, a sentence each, which settings ask for what this version does not do."""
    for row in UNREADY:
        found: object = settings
        for step in row.name.split("."):
            found = getattr(found, step)
        if found == row.value:
            shown = str(found).lower() if isinstance(found, bool) else found
            yield f"{row.name} is {shown}, which this version does not do yet, expected {row.instead}"
