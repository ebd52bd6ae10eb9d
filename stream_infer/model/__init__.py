"""One model version's life: find it, check it, load it, run it, lease and swap it. Knows no Kafka and no Avro.

manifest    `model.yaml`                      repository  where versions lie
files       checked bytes                     formats/    artifact to network; architectures for weights
columns     Arrow to NumPy, row by row        inputs      columns to tensors
outputs     scores and their meaning          scored      the value that travels on, and its Arrow columns
device      CPU, and what a device is         cuda        NVIDIA devices
version     prepare, launch, wait             load        a folder to a version that was tried
golden      samples with expected scores      package     a folder from an artifact
serving     the versions that serve           slot        lease and swap them
"""

from stream_infer.model.device import Device, limit_threads, open_device
from stream_infer.model.load import load_version
from stream_infer.model.manifest import Manifest
from stream_infer.model.repository import VersionDirectory, find_version
from stream_infer.model.scored import Scored
from stream_infer.model.serving import Guard, Router, Serving, Variant
from stream_infer.model.slot import ModelSlot
from stream_infer.model.version import InferenceFailed, LoadedVersion, OutOfDeviceMemory, Pending, Prepared

__all__ = [
    "Device",
    "Guard",
    "InferenceFailed",
    "LoadedVersion",
    "Manifest",
    "ModelSlot",
    "OutOfDeviceMemory",
    "Pending",
    "Prepared",
    "Router",
    "Scored",
    "Serving",
    "Variant",
    "VersionDirectory",
    "find_version",
    "limit_threads",
    "load_version",
    "open_device",
]
