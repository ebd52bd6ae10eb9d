"""Known: what trials found out, kept in files, so that a restart does not try again what was all right."""

import json
import os
import re
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import torch

import stream_infer
from stream_infer.model.device import open_device
from stream_infer.model.version import Facts


class KnownFacts:
    """Facts by digest, good for one device, batch size, and release of torch and of this package.

    `folder` is made when the first are kept. A file that cannot be read is none.
    """

    def __init__(self, folder: Path, *, device: str, batch_size: int) -> None:
        self._folder = folder
        parts = (_device(device), str(batch_size), torch.__version__, stream_infer.__version__)
        self._surroundings = "-".join(re.sub(r"[^\w.+]", "_", part) for part in parts)

    def find(self, digest: str) -> Facts | None:
        """Return what is known of a version, None when nothing is."""
        try:
            found = json.loads(self._path(digest).read_text(encoding="utf-8"))
            facts = Facts(**found)
        except (OSError, ValueError, TypeError):
            return None
        sound = type(facts.writes_inputs) is bool and _is_count(facts.width) and _is_count(facts.peak_memory_bytes)
        return facts if sound else None

    def keep(self, digest: str, facts: Facts) -> None:
        """Remember facts; where the folder cannot be written, the version is tried again next time."""
        path = self._path(digest)
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            new = path.with_name(f".{path.name}-{os.getpid()}")
            new.write_text(json.dumps(asdict(facts)), encoding="utf-8")
            new.replace(path)

    def _path(self, digest: str) -> Path:
        return self._folder / f"{digest}-{self._surroundings}.json"


def _device(name: str) -> str:
    """Return what a device is, and not only what it is called. Raises Stop when it is not there."""
    device = open_device(name).torch_device
    return "cpu" if device.type == "cpu" else f"{device}-{torch.cuda.get_device_name(device)}"


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0
