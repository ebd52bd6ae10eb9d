"""Asks a worker's pages, as a probe or a client does."""

import json
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from typing import Any

from tests.end_to_end.harness import WorkerProcess

TIMEOUT_S = 30.0
NOBODY = 0
"""The status where nobody listens, or the connection ends before the answer."""


def ask(worker: WorkerProcess, path: str, body: Any = None) -> tuple[int, Any]:
    """Return the status and the JSON of a page: of a GET, or where there is a `body` of a POST of its JSON."""
    method, data = ("GET", None) if body is None else ("POST", json.dumps(body))
    try:
        with closing(HTTPConnection("127.0.0.1", worker.web_port, timeout=TIMEOUT_S)) as connection:
            connection.request(method, path, data, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, json.load(answer)
    except (OSError, HTTPException):
        return NOBODY, {}


def address(worker: WorkerProcess, path: str) -> str:
    """Return where a page of a worker is."""
    return f"http://127.0.0.1:{worker.web_port}{path}"


def is_ready(worker: WorkerProcess) -> bool:
    """Return whether a worker says that it scores."""
    return ask(worker, "/ready")[0] == 200
