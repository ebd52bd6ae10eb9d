"""One model version's life: find it, check it, load it, run it, lease and swap it. Knows no Kafka and no Avro.

manifest    `model.yaml`                      repository  where versions lie; sources/ elsewhere
fetch       a version to this machine         files       checked bytes
formats/    artifact to network               architectures  what weights belong to
columns     Arrow to NumPy, row by row        inputs      columns to tensors
outputs     scores and their meaning          scored      the value that travels on, and its Arrow columns
device      CPU, and what a device is         cuda        NVIDIA devices
version     prepare, launch, wait, release    weights     memory that can be given back
faults      whose fault a failed call is
load        a folder to a version             golden      samples with expected scores
trial       first in a child process          tried       what the child runs; watched: how it is watched
known       what trials found out             attempts    loads that ended their process
memory      what machine and process have     lifecycle   the states of a version, as a table
serving     the versions that serve           slot        lease and swap them
package     a folder from an artifact
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from stream_infer.model.device import Device, limit_threads, open_device
    from stream_infer.model.faults import DeviceLost, InferenceFailed, OutOfDeviceMemory
    from stream_infer.model.load import load_version
    from stream_infer.model.manifest import Manifest
    from stream_infer.model.memory import return_memory
    from stream_infer.model.repository import VersionDirectory, find_version
    from stream_infer.model.scored import Scored
    from stream_infer.model.serving import Guard, Router, Serving, Variant
    from stream_infer.model.slot import ModelSlot
    from stream_infer.model.version import Facts, LoadedVersion, Pending, Prepared, PreparedBatches

_HOMES: Final = {
    "Device": "device",
    "DeviceLost": "faults",
    "Facts": "version",
    "Guard": "serving",
    "InferenceFailed": "faults",
    "LoadedVersion": "version",
    "Manifest": "manifest",
    "ModelSlot": "slot",
    "OutOfDeviceMemory": "faults",
    "Pending": "version",
    "Prepared": "version",
    "PreparedBatches": "version",
    "Router": "serving",
    "Scored": "scored",
    "Serving": "serving",
    "Variant": "serving",
    "VersionDirectory": "repository",
    "find_version": "repository",
    "limit_threads": "device",
    "load_version": "load",
    "open_device": "device",
    "return_memory": "memory",
}

__all__ = [
    "Device",
    "DeviceLost",
    "Facts",
    "Guard",
    "InferenceFailed",
    "LoadedVersion",
    "Manifest",
    "ModelSlot",
    "OutOfDeviceMemory",
    "Pending",
    "Prepared",
    "PreparedBatches",
    "Router",
    "Scored",
    "Serving",
    "Variant",
    "VersionDirectory",
    "find_version",
    "limit_threads",
    "load_version",
    "open_device",
    "return_memory",
]


def __getattr__(name: str) -> object:
    """Import what is asked for: torch takes seconds, and what reads a manifest needs none."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
