"""A Confluent Schema Registry for tests, as its own process: `python -m stream_infer.testing.registry --port 0`.

It prints its URL, keeps everything in memory and serves what confluent-kafka's client asks. `PUT /fault` with
`{"fault": "down" | "slow" | "error" | "none", "delay_s": 1.0}` makes it fail: close connections without an answer,
answer late, or answer 500. The fault itself can always be changed.
"""

import argparse
import json
import re
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Final, Literal
from urllib.parse import unquote, urlsplit

from stream_infer.testing.registry_store import RegistryRefusal, RegistryStore, Stored

Fault = Literal["none", "down", "slow", "error"]
Answer = dict[str, Any] | list[Any]

CONTENT_TYPE: Final = "application/vnd.schemaregistry.v1+json"


@dataclass(slots=True)
class FaultState:
    """How the registry fails at the moment; `delay_s` is for `slow`."""

    fault: Fault = "none"
    delay_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Request:
    """One request: the parts of its path that the route names, and its body, decoded."""

    parts: tuple[str, ...]
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Route:
    """A method and a path, and who answers."""

    method: str
    path: re.Pattern[str]
    answer: Callable[[RegistryStore, Request], Answer]


def _register(store: RegistryStore, request: Request) -> Answer:
    stored, version = store.register(request.parts[0], request.body["schema"], references=_references(request.body))
    return _described(stored, subject=request.parts[0], version=version)


def _lookup(store: RegistryStore, request: Request) -> Answer:
    stored, version = store.lookup(request.parts[0], request.body["schema"], references=_references(request.body))
    return _described(stored, subject=request.parts[0], version=version)


def _version(store: RegistryStore, request: Request) -> Answer:
    stored, version = store.version(request.parts[0], request.parts[1])
    return _described(stored, subject=request.parts[0], version=version)


def _compatible(store: RegistryStore, request: Request) -> Answer:
    return {"is_compatible": store.is_compatible(request.parts[0], request.body["schema"])}


def _set_level(store: RegistryStore, request: Request) -> Answer:
    store.set_level(request.parts[0] if request.parts else None, request.body["compatibility"])
    return {"compatibility": request.body["compatibility"]}


def _level(store: RegistryStore, request: Request) -> Answer:
    return {"compatibilityLevel": store.level(request.parts[0] if request.parts else None)}


def _route(method: str, path: str, answer: Callable[[RegistryStore, Request], Answer]) -> Route:
    return Route(method, re.compile(path.replace("*", "([^/]+)")), answer)


ROUTES: Final = (
    _route("GET", "/subjects", lambda store, _: list(store.subjects())),
    _route("POST", "/subjects/*", _lookup),
    _route("GET", "/subjects/*/versions", lambda store, request: _numbers(store, request.parts[0])),
    _route("POST", "/subjects/*/versions", _register),
    _route("GET", "/subjects/*/versions/*", _version),
    _route("GET", "/schemas/ids/*", lambda store, request: _described(store.by_id(int(request.parts[0])))),
    _route("GET", "/schemas/guids/*", lambda store, request: _described(store.by_guid(request.parts[0]))),
    _route("GET", "/schemas/types", lambda _, __: ["AVRO"]),
    _route("POST", "/compatibility/subjects/*/versions", _compatible),
    _route("POST", "/compatibility/subjects/*/versions/*", _compatible),
    _route("GET", "/config", _level),
    _route("GET", "/config/*", _level),
    _route("PUT", "/config", _set_level),
    _route("PUT", "/config/*", _set_level),
)


class Handler(BaseHTTPRequestHandler):
    """Answers one connection; a subclass made by `serve` carries the store and the fault."""

    protocol_version = "HTTP/1.1"
    store: ClassVar[RegistryStore]
    state: ClassVar[FaultState]
    stopping: ClassVar[threading.Event]

    def do_GET(self) -> None:
        """Answer a GET."""
        self._serve("GET")

    def do_POST(self) -> None:
        """Answer a POST."""
        self._serve("POST")

    def do_PUT(self) -> None:
        """Answer a PUT."""
        self._serve("PUT")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Say nothing: a test's output is its own."""

    def _serve(self, method: str) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        path = urlsplit(self.path).path
        if path == "/fault":
            self.state.fault, self.state.delay_s = body["fault"], float(body.get("delay_s", 1.0))
            self._send(HTTPStatus.OK, {})
        elif self.state.fault == "down":
            self.close_connection = True
        elif self.state.fault == "error":
            self._send(HTTPStatus.INTERNAL_SERVER_ERROR, {"error_code": 50001, "message": "Error in the backend"})
        else:
            self.stopping.wait(self.state.delay_s if self.state.fault == "slow" else 0)
            self._send(*self._answer(method, path, body))

    def _answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, Answer]:
        for route in ROUTES:
            matched = route.path.fullmatch(path)
            if matched and route.method == method:
                return self._try(route, Request(tuple(map(unquote, matched.groups())), body))
        return HTTPStatus.NOT_FOUND, {"error_code": HTTPStatus.NOT_FOUND, "message": f"No {method} {path}"}

    def _try(self, route: Route, request: Request) -> tuple[int, Answer]:
        try:
            return HTTPStatus.OK, route.answer(self.store, request)
        except RegistryRefusal as refusal:
            return refusal.status, {"error_code": refusal.code, "message": str(refusal)}

    def _send(self, status: int, answer: Answer) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class TestRegistry:
    """The address of a registry that runs, and the switch for its faults."""

    __test__ = False  # pytest would take the name for a test

    def __init__(self, url: str) -> None:
        self.url = url

    def fail(self, fault: Fault, *, delay_s: float = 1.0) -> None:
        """Make the registry fail from now on; `none` ends it."""
        content = json.dumps({"fault": fault, "delay_s": delay_s}).encode()
        request = urllib.request.Request(f"{self.url}/fault", data=content, method="PUT")  # noqa: S310 - http, ours
        with urllib.request.urlopen(request, timeout=10):  # noqa: S310 - as above
            return


@contextmanager
def registry_process() -> Iterator[TestRegistry]:
    """Run a registry as a process of its own while the context lasts."""
    command = [sys.executable, "-m", "stream_infer.testing.registry", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield TestRegistry(process.stdout.readline().strip() if process.stdout else "")
        finally:
            process.terminate()


def serve(port: int, *, announce: Callable[[str], None]) -> None:
    """Serve on a port of this machine, 0 for a free one, until the process ends; `announce` is told the URL."""
    carried = {"store": RegistryStore(), "state": FaultState(), "stopping": threading.Event()}
    with ThreadingHTTPServer(("127.0.0.1", port), type("BoundHandler", (Handler,), carried)) as server:
        server.daemon_threads = True
        announce(f"http://127.0.0.1:{server.server_address[1]}")
        server.serve_forever()


def _references(body: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    return tuple(body.get("references") or ())


def _numbers(store: RegistryStore, subject: str) -> list[int]:
    return list(range(1, len(store.versions(subject)) + 1))


def _described(stored: Stored, *, subject: str | None = None, version: int | None = None) -> dict[str, Any]:
    described = {"id": stored.schema_id, "guid": stored.guid, "schema": stored.text, "schemaType": "AVRO"}
    if stored.references:
        described["references"] = list(stored.references)
    return described | ({"subject": subject, "version": version} if subject else {})


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description="A Schema Registry for tests, in memory.")
    parser.add_argument("--port", type=int, default=0, help="0: a free one; the URL is printed")
    serve(parser.parse_args().port, announce=lambda url: print(url, flush=True))  # noqa: T201 - how its starter learns it


if __name__ == "__main__":
    main()
