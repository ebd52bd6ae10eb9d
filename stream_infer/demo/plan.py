"""The settings of one demo, and the file that its worker reads them from."""

import secrets
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from stream_infer.demo.cache import MODEL_NAME, MODEL_VERSION
from stream_infer.demo.events import EVENT_SCHEMA, TRUTH_FIELD
from stream_infer.settings import Settings, load_settings

PREFIX: Final = "stream-infer-demo-"
HOST: Final = "127.0.0.1"


def new_application_id() -> str:
    """Return a name that no other demo has: the consumer group, and the prefix of every topic."""
    return PREFIX + secrets.token_hex(4)


def write_settings(path: Path, user: Settings, *, kafka: Mapping[str, Any], repository: Path) -> Settings:
    """Write the worker's settings file and return what the worker will read from it.

    `kafka` is that section. Of the user's settings batching, delivery, device, cache and log are taken over.
    """
    document = _document(user, kafka, repository=repository)
    path.touch(mode=0o600)  # `kafka` may hold a password
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return load_settings(path, (), {})


def _document(user: Settings, kafka: Mapping[str, Any], *, repository: Path) -> dict[str, Any]:
    name = new_application_id()
    taken = user.model_dump(mode="json", include={"batching", "delivery", "log"})
    return {
        **taken,
        "application_id": name,
        "worker_id": f"{name}-worker",
        "kafka": dict(kafka),
        "topics": {"input": [f"{name}.events"], "output": f"{name}.predictions"},
        "schemas": {"input": str(EVENT_SCHEMA), "passthrough": [TRUTH_FIELD]},
        "model": {
            "name": MODEL_NAME,
            "version": MODEL_VERSION,
            "repository": str(repository),
            "device": user.model.device,
            "cache_directory": str(user.model.cache_directory),
        },
        "web": {"host": HOST, "port": _free_port()},
    }


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as server:
        port: int = server.getsockname()[1]
    return port
