"""Model formats: how a version's artifact becomes something that can be called; one file a format.

A further format is a file here and a line in `FORMATS`.
"""

from collections.abc import Mapping
from typing import Final

from stream_infer.errors import Stop
from stream_infer.model.formats.export import ExportFormat
from stream_infer.model.formats.network import Format, Network
from stream_infer.model.formats.torchscript import TorchScriptFormat
from stream_infer.model.formats.weights import SafetensorsFormat

__all__ = ["FORMATS", "Format", "Network", "find_format", "format_of_suffix"]

FORMATS: Final[Mapping[str, Format]] = {
    "export": ExportFormat(),
    "torchscript": TorchScriptFormat(),
    "safetensors": SafetensorsFormat(),
}


def find_format(name: str, *, allow_code: bool) -> Format:
    """Return the format of this name.

    Raises Stop when it is not known, or when loading it runs code of the artifact's and `allow_code` is false.
    """
    found = FORMATS.get(name)
    if found is None:
        raise Stop(f"the model's format is {name}, expected one of {', '.join(FORMATS)}")
    if found.runs_code and not allow_code:
        safe = ", ".join(known for known, one in FORMATS.items() if not one.runs_code)
        raise Stop(
            f"the model's format {name} runs code when loaded, expected {safe}: model.allow_code_formats is false"
        )
    return found


def format_of_suffix(suffix: str) -> str:
    """Return the name of the format whose artifacts end so, dot included. Raises Stop when none does."""
    for name, found in FORMATS.items():
        if suffix in found.suffixes:
            return name
    known = ", ".join(suffix for found in FORMATS.values() for suffix in found.suffixes)
    raise Stop(f"the artifact ends in {suffix or 'nothing'}, expected {known}, or a manifest that names the format")
