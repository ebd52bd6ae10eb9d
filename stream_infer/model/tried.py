"""Tried: the child process in which a version is loaded and called for the first time. See `trial` for its parent.

It is told what to try by a JSON object on its standard input, and answers with JSON objects, one a line, on the
descriptor that its last argument names:

    {"base_bytes": 1}           what it has in use before the version
    {"passed": "load"}          a step that is over
    {"facts": {...}}            the version is all right; or one of
    {"refused": "one sentence"}
    {"short_of_memory": true}
"""

import ctypes
import json
import logging
import os
import resource
import signal
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import torch

from stream_infer.errors import StreamInferError
from stream_infer.model.device import Device, open_device
from stream_infer.model.formats.network import cause
from stream_infer.model.load import load_version
from stream_infer.model.memory import own_bytes
from stream_infer.model.repository import VersionDirectory
from stream_infer.model.version import Facts, LoadedVersion

NICE: Final = 10
"""A tenth of the processor beside a busy worker; at 19 a load would take minutes where the worker takes all it gets."""
PR_SET_PDEATHSIG: Final = 1
OUT_OF_MEMORY: Final = ("can't allocate memory", "bad_alloc", "MemoryError", "Cannot allocate memory")


@dataclass(frozen=True, slots=True)
class Request:
    """What to try, and how; `parent` is the process that wants to know."""

    name: str
    version: str
    path: str
    digest: str
    device: str
    batch_size: int
    allow_code_formats: bool
    limit_bytes: int
    parent: int


def main() -> None:
    """Try what standard input describes, answer, and end without a word from the version's own code."""
    request = Request(**json.load(sys.stdin))
    answers = int(sys.argv[-1])
    logging.basicConfig(level=logging.INFO)
    _be_modest(request.parent)
    _say(answers, **_try(request, answers))
    # What a library does at the end of a process says nothing about the version.
    os._exit(0)


def ran_out(text: str) -> bool:
    """Whether an error's text says that memory ran out."""
    return any(words in text for words in OUT_OF_MEMORY)


def _try(request: Request, answers: int) -> dict[str, Any]:
    try:
        device = open_device(request.device)
        _start_counting(device)
        base_bytes = own_bytes("VmRSS")
        _say(answers, base_bytes=base_bytes)
        if device.torch_device.type == "cpu":
            _limit_memory(request.limit_bytes)
        version = load_version(
            VersionDirectory(request.name, request.version, Path(request.path)),
            device=device,
            batch_size=request.batch_size,
            allow_code_formats=request.allow_code_formats,
            report=lambda sentence: _say(answers, passed=sentence.partition(":")[0]),
        )
    except Exception as error:
        logging.getLogger(__name__).info("version %s is refused", request.version, exc_info=True)
        return _refusal(error, request.version)
    if version.digest != request.digest:
        changed = f"model.yaml in {request.path} has sha256 {version.digest}, expected {request.digest}: it changed"
        return {"refused": changed}
    return {"facts": asdict(_facts(version, device, base_bytes=base_bytes))}


def _facts(version: LoadedVersion, device: Device, *, base_bytes: int) -> Facts:
    if device.torch_device.type == "cpu":
        peak = own_bytes("VmHWM") - base_bytes
    else:
        peak = torch.cuda.max_memory_reserved(device.torch_device)
    return Facts(version.width, version.writes_inputs, max(peak, version.weight_bytes))


def _refusal(error: Exception, version: str) -> dict[str, Any]:
    chain: BaseException | None = error
    while chain is not None:
        if isinstance(chain, MemoryError) or ran_out(str(chain)):
            return {"short_of_memory": True}
        chain = chain.__cause__
    if isinstance(error, StreamInferError):
        return {"refused": str(error)}
    return {"refused": f"version {version} cannot be tried: {type(error).__name__}: {cause(error)}"}


def _say(answers: int, **said: Any) -> None:
    os.write(answers, json.dumps(said).encode() + b"\n")


def _be_modest(parent: int) -> None:
    """Leave the processor to the worker, be the first to go when memory is short, and end with the parent."""
    os.nice(NICE)
    torch.set_num_threads(1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)  # it ended before it could be tied to


def _start_counting(device: Device) -> None:
    """Let the peak of memory be that of what follows; where it cannot be set back, it starts at torch's own."""
    if device.torch_device.type != "cpu":
        torch.cuda.reset_peak_memory_stats(device.torch_device)
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _limit_memory(limit_bytes: int) -> None:
    """Let the kernel refuse more data than there is now and `limit_bytes`; where it cannot tell, nothing is limited."""
    held = own_bytes("VmData")
    if held:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_DATA, (held + limit_bytes, held + limit_bytes))


if __name__ == "__main__":
    main()
