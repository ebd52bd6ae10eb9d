"""A web server of the tests' own: it serves a folder, and misbehaves where it is told to."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Answer = Callable[["Handler"], None]


@dataclass
class Site:
    """Where the server is, what it was asked for, and what it answers instead of the file, by path."""

    url: str
    folder: Path
    asked: list[str] = field(default_factory=list)
    answers: dict[str, Answer] = field(default_factory=dict)


class Handler(SimpleHTTPRequestHandler):
    site: Site

    def __init__(self, *arguments: Any, site: Site) -> None:
        self.site = site
        super().__init__(*arguments, directory=str(site.folder))

    def do_GET(self) -> None:
        self.site.asked.append(self.path)
        answer = self.site.answers.get(self.path)
        if answer is None:
            super().do_GET()
        else:
            answer(self)

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


@contextmanager
def serving(folder: Path) -> Iterator[Site]:
    """Yield a site that serves a folder."""
    site = Site("", folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), lambda *arguments: Handler(*arguments, site=site))
    site.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def status(code: int) -> Answer:
    def answer(handler: Handler) -> None:
        handler.send_error(code)

    return answer


def redirect(target: str) -> Answer:
    def answer(handler: Handler) -> None:
        handler.send_response(302)
        handler.send_header("Location", target)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def cut_off(content: bytes) -> Answer:
    """Promise more than is sent."""

    def answer(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content) + 1))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def endless(sent: list[int]) -> Answer:
    """Send zeros until the client goes away; `sent` gets their numbers."""

    def answer(handler: Handler) -> None:
        handler.send_response(200)
        handler.end_headers()
        zeros = bytes(1 << 16)
        try:
            while True:
                sent.append(handler.wfile.write(zeros))
        except OSError:
            handler.close_connection = True

    return answer
