"""Which values are nobody's business."""

import re
from typing import Final

HIDDEN: Final = "[hidden]"

_SECRET: Final = re.compile(
    r"""
    password | passphrase | secret | token | credential | sasl\.jaas\.config | oauthbearer\.config
    | user\.info | private\.key | key\.pem | keystore\.pem | assertion
    """,
    re.IGNORECASE | re.VERBOSE,
)
_PUBLIC: Final = re.compile(r"(\.location|\.url|\.uri|\.method|\.algorithm|\.file)$")


def is_secret(name: str) -> bool:
    """Say whether the value of a dotted name is hidden; the path of a file that holds a secret is not."""
    below_files = name.startswith(("kafka.property_files.", "schema_registry.property_files."))
    return not below_files and bool(_SECRET.search(name)) and not _PUBLIC.search(name)
