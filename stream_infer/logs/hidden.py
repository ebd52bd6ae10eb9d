"""Hidden: a net below everything that takes care not to log secrets, for what others may log."""

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

from stream_infer.settings.secrets import HIDDEN

LEAST_CHARACTERS: Final = 6
"""Of a secret that is looked for: a shorter one may be a part of any word."""


class Hidden:
    """Blots known secrets out of text, also where they are quoted as in a URL. Never shows them itself."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        spelt = {spelling for secret in secrets for spelling in (secret, quote(secret, safe=""))}
        known = sorted((each for each in spelt if len(each) >= LEAST_CHARACTERS), key=len, reverse=True)
        self._count = len(known)
        self._pattern = re.compile("|".join(map(re.escape, known))) if known else None

    def __repr__(self) -> str:
        return f"Hidden({self._count} spellings)"

    def blot(self, text: str) -> str:
        """Return the text with every secret replaced."""
        return self._pattern.sub(HIDDEN, text) if self._pattern is not None else text
